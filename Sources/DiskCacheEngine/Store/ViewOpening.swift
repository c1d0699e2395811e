/// Decides, while a store is being opened, whether its index can be believed, and makes it again from the log if not (DESIGN 7.4).
///
/// Under the write lock. Who isn't alone believes what is there: it is in use.
struct ViewOpening {
    let files: any FileSystem
    let directory: FileDescriptor
    let log: Log
    let block: CommitBlock
    let base: UnsafeMutableRawPointer
    let identity: StoreIdentity
    let metaIsNew: Bool
    /// Of the directory.
    let status: FileStatus
    let boot: (UInt64, UInt64)

    typealias Opened = (index: HashIndex, report: RecoveryReport?)
    private struct Doubt: Error { let text: String }

    /// Whether `meta` was made for this very directory: a copy, perhaps of a store in use, has another. Each boot numbers devices anew.
    private var isInPlace: Bool {
        !metaIsNew && identity.inode == status.inode && (identity.device == status.device || identity.boot != boot)
    }
    private var isThisBoot: Bool { boot != (0, 0) && identity.boot == boot }
    /// Whether pages that a sync has lost may be in memory still. Who can't tell boots apart must think so.
    private var mayHoldLostPages: Bool { isInPlace && (isThisBoot || boot == (0, 0)) }

    /// The index that can be believed, or one made again from the log.
    func open(isAlone: Bool) throws(EngineError) -> Opened {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        let generation = block.indexGeneration.acquire()
        if !isAlone {
            // The views are live, whatever boot ids say: containers have their own.
            guard
                let opened = try HashIndex.open(
                    generation: generation, in: directory, files: files, storeID: identity.storeID)
            else {
                throw EngineError(
                    .corrupted, "the hash index is missing or damaged while another process has the store open",
                    path: directory.path + "/" + IndexLayout.name(generation))
            }
            try mapLive()
            return (opened.index, nil)
        }
        if let opened = try cured() { return opened }
        switch try believe(generation) {
        case .success(let index): return (index, nil)
        case .failure(let why): return try rebuild(reason: why.text)
        }
    }

    /// Lifts the poison that a failed sync has left, in the boot in which that was; nil: there is none, or it can't be lifted.
    private func cured() throws(EngineError) -> Opened? {
        let poison = block.poison.acquire()
        guard poison != 0, mayHoldLostPages, block.read().isIntact else { return nil }
        let valueFiles = ValueFiles(directory: directory, environment: Environment(files: files))
        let range = SyncRange(log: log, directory: directory, valueFiles: valueFiles)
        guard let from = Store.cure(block, range) else { return nil }
        let opened = try rebuild(
            reason: "a sync had failed (errno \(poison >> 48)); what it was to cover was stored anew",
            believing: from)
        // `synced` stays: the next sync goes over the range once more, and unlinks what was replaced in it.
        block.syncing.store(0)
        block.poison.release(0)
        FaultPoint.reach(.poisonLifted)
        return opened
    }

    // MARK: Believing

    private func doubt(_ text: String) -> Result<HashIndex, Doubt> { .failure(Doubt(text: text)) }

    private func believe(_ generation: UInt64) throws(EngineError) -> Result<HashIndex, Doubt> {
        if metaIsNew { return doubt("meta was missing or damaged") }
        if identity.boot == (0, 0), generation == 0 { return doubt("this is a backup, which comes without an index") }
        if boot == (0, 0) { return doubt("the system doesn't tell which boot this is") }
        guard
            let opened = try HashIndex.open(
                generation: generation, in: directory, files: files, storeID: identity.storeID, boot: boot)
        else { return doubt("the hash index is missing or damaged") }
        let state = block.read()
        guard state.isIntact else { return doubt("the commit block is damaged") }
        guard opened.identity.boot == boot else {
            if try believeSeal(opened.index, opened.identity) { return .success(opened.index) }
            return doubt("the hash index was made in another boot of the system")
        }
        return try believe(opened.index, state)
    }

    /// (a) Same boot, same files, and whatever a killed process can leave.
    private func believe(
        _ index: HashIndex, _ state: (word: UInt64, head: Position, counters: CommitBlock.Counters, isIntact: Bool)
    ) throws(EngineError) -> Result<HashIndex, Doubt> {
        let tail = CommitBlock.tail(state.word)
        let active = block.active.acquire()
        if tail == 0 && active == 0 {
            return try Log.firsts(files, log.directory).isEmpty
                ? .success(index) : doubt("the log holds segments that the commit block doesn't know")
        }
        do throws(EngineError) {
            try mapLive()
        } catch {
            if error.code != .corrupted { throw error }
            return doubt(error.message)
        }
        guard log.segments.contains(where: { $0.first == active }) else {
            return doubt("the newest segment of the log is missing or damaged")
        }
        if state.counters.settings != 0 {
            guard case .record(let record) = try log.record(at: state.counters.settings),
                record.kind == RecordKind.system.rawValue
            else { return doubt("the settings are damaged") }
        }
        if let seal = Seal(UnsafeRawPointer(base)), seal.word == state.word, seal.generation == index.generation,
            Int(clamping: seal.indexSize) <= Seal.summedLimit
        {
            guard try isSealed(index, seal) else { return doubt("the hash index isn't the one that was sealed") }
            guard index.covered.acquire() == tail else { return doubt("the hash index doesn't reach the tail") }
            return .success(index)
        }
        if tail != 0 {
            guard case .record(let last) = try log.record(at: state.counters.lastRecord), last.end == tail else {
                return doubt("the last record isn't whole")
            }
        }
        var transactions = 0
        var ends: [Position] = [tail]
        _ = try log.scanTail(from: tail) { record in
            if record.isCommit {
                transactions += 1
                ends.append(record.end)
            }
        }
        guard transactions <= 1 else { return doubt("more than one transaction lies behind the tail") }
        guard ends.contains(index.covered.acquire()) else { return doubt("the hash index doesn't reach the tail") }
        return .success(index)
    }

    private func isSealed(_ index: HashIndex, _ seal: Seal) throws(EngineError) -> Bool {
        do throws(SystemError) {
            guard try files.status(index.file).size == Int(clamping: seal.indexSize) else { return false }
            return try index.sum().value == seal.indexSum
        } catch {
            throw EngineError(error)
        }
    }

    /// (b) Another boot, and a seal: everything below T was durable when it was left, the index is the one that it names, and the log
    /// ends there. A seal is cleared without a sync, so an old one may be what a power loss left: then the log goes on behind it.
    ///
    /// What lies behind T, though it is no record now, may hold records further on: the log goes on in a new segment.
    private func believeSeal(_ index: HashIndex, _ made: HashIndex.Identity) throws(EngineError) -> Bool {
        let state = block.read()
        let tail = CommitBlock.tail(state.word)
        guard isInPlace, tail != 0, let seal = Seal(UnsafeRawPointer(base)), seal.word == state.word,
            seal.head == state.head, seal.generation == index.generation, block.synced.acquire() == tail,
            index.covered.acquire() == tail
        else { return false }
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: state.head)
        // What the head has passed may be gone.
        guard let newest = chain.links.last?.segment, chain.gaps.allSatisfy({ $0.end <= state.head }),
            try endsAt(tail, chain.links), try isSealed(index, seal)
        else { return false }
        let firsts = chain.links.map(\.segment.first)
        let lowest = firsts.last { $0 <= state.head } ?? firsts[0]
        try log.adopt(firsts.filter { $0 >= lowest })
        guard case .record(let last) = try log.record(at: state.counters.lastRecord), last.end == tail else {
            return false
        }
        block.forgetHints(synced: tail, keepsPoison: false)
        try forgetPrepared()
        block.active.store(newest.first)
        try log.position(
            at: max(tail, newest.firstRecord), active: newest.first, last: state.counters.lastRecord)
        try log.beginSegment(head: state.head, settings: state.counters.settings)
        FaultPoint.reach(.sealBelieved)
        noteBoot()
        var renewed = made
        renewed.boot = boot
        Seal.clear(base)
        do throws(SystemError) {
            try index.renew(renewed)
        } catch {
            throw EngineError(error)
        }
        return true
    }

    /// Whether no record stands behind `tail`, in its segment or in a later one.
    private func endsAt(_ tail: Position, _ links: [LogScanner.Link]) throws(EngineError) -> Bool {
        var goesOn = false
        let scanner = LogScanner(files: files, salt: identity.salt, links: links, believedEnd: 0)
        try scanner.scan(from: tail) { outcome in if case .record = outcome { goesOn = true } }
        return !goesOn
    }

    /// Maps every live segment: from the one in which the head lies to the newest.
    private func mapLive() throws(EngineError) {
        let state = block.read()
        // What lies beyond the active one was never used: whoever made it was killed.
        let active = block.active.acquire()
        let firsts = try Log.firsts(files, log.directory).filter { $0 <= active }
        // The segment that the head lies in begins at or below it.
        let lowest = firsts.last { $0 <= state.head } ?? firsts.first ?? 0
        try log.adopt(firsts.filter { $0 >= lowest })
    }

    /// The identity with this boot and this directory.
    private func noteBoot() {
        var renewed = identity
        renewed.boot = boot
        renewed.device = status.device
        renewed.inode = status.inode
        renewed.encoded().withUnsafeBytes {
            SharedMemory.copy($0.baseAddress!, to: base + CommitBlock.identityOffset, count: StoreIdentity.size)
        }
    }

    // MARK: Making it again

    /// Up to where everything is known to have been whole, if it isn't T.
    private func durableEnd(_ state: (word: UInt64, isIntact: Bool)) -> Position {
        // `synced` has no check of its own: it counts while the commit block beside it is whole and agrees. Old is safe.
        let synced = block.synced.acquire()
        guard state.isIntact, synced <= CommitBlock.tail(state.word) else { return 0 }
        // A copy may have been made while somebody wrote: then the log in it is older in one place than in another.
        return isInPlace || isAtRest(state.word) ? synced : 0
    }

    /// Whether the store was closed when it was copied, if it was.
    private func isAtRest(_ word: UInt64) -> Bool { Seal(UnsafeRawPointer(base)).map { $0.word == word } ?? false }

    /// The hints that can be believed, by the first positions of their segments.
    private func hints(_ links: [LogScanner.Link]) -> [Position: SegmentHint] {
        var found: [Position: SegmentHint] = [:]
        for link in links.dropLast() {
            guard let end = link.end else { continue }
            found[link.segment.first] = SegmentHint.open(
                link.segment, end: end, in: log.directory, files: files, salt: identity.salt)
        }
        return found
    }

    private func forgetPrepared() throws(EngineError) {
        do throws(SystemError) {
            try log.forgetPrepared()
        } catch {
            throw EngineError(error)
        }
    }

    /// `believing`: as if everything behind that might be torn, though the boot is the same.
    private func rebuild(reason: String, believing: Position? = nil) throws(EngineError) -> Opened {
        let state = block.read()
        let sameBoot = isThisBoot && isInPlace && state.isIntact
        // In the same boot no power was lost: what the commit block says is durable enough to believe.
        let knownHead = sameBoot && believing == nil ? state.head : nil
        var (chain, head) = try bounds(knownHead: knownHead)
        if !sameBoot {
            block.forgetHints(synced: durableEnd((state.word, state.isIntact)), keepsPoison: mayHoldLostPages)
        }
        // A position is never used twice, though the segment that had it lost its name.
        if state.isIntact {
            let granule = UInt64(SegmentHeader.granule)
            block.beyond.store(max(block.beyond.relaxed(), (CommitBlock.tail(state.word) / granule + 1) * granule))
        }
        // A copy that was put in the place of a store may be older in one file than in another, as a power loss leaves it.
        try forgetPrepared()
        let believedEnd = believing ?? (sameBoot ? CommitBlock.tail(state.word) : block.synced.relaxed())
        // What is in doubt is read, and so is a copy, which may be older in one place than in another.
        let mayUseHints = believing == nil && (isInPlace || isAtRest(state.word))
        let generation = try Self.nextGeneration(directory, files)
        var hints: [Position: SegmentHint] = [:]
        func read() throws(EngineError) -> Rebuild {
            log.forgetSegments()
            try log.adopt(chain.links.map(\.segment.first))
            hints = mayUseHints ? self.hints(chain.links) : [:]
            var scanner = LogScanner(
                files: files, salt: identity.salt, links: chain.links,
                believedEnd: max(believedEnd, hints.values.map(\.end).max() ?? 0), hints: hints)
            let rebuild = try fill(scanner, generation, head, reason, chain.gaps)
            guard rebuild.hasWrongHint else { return rebuild }
            scanner.hints = [:]
            return try fill(scanner, generation, head, reason, chain.gaps)
        }
        var rebuild = try read()
        while knownHead == nil, !rebuild.hasProvedHead {
            // Without what turned out not to count: as long as it is all there.
            let earlier = try bounds(knownHead: nil, before: rebuild.end)
            guard earlier.head < head, earlier.chain.gaps.allSatisfy({ $0.end <= earlier.head }) else {
                rebuild.noteUnprovedHead()
                break
            }
            (chain, head) = earlier
            rebuild = try read()
        }
        let index = rebuild.index
        FaultPoint.reach(.indexFilled)

        // Where the last record ends, even if the newest segment has none: it is what the next opening looks for there.
        var tail = chain.links.isEmpty ? 0 : rebuild.end
        let last = rebuild.counters.lastRecord
        block.making.store(0)
        if let newest = chain.links.last?.segment, sameBoot && rebuild.endIsClean {
            block.active.store(newest.first)
            try log.position(at: max(tail, newest.firstRecord), active: newest.first, last: last)
        } else if let newest = chain.links.last?.segment, last != 0 || !rebuild.report.quarantined.isEmpty {
            // What lies behind the cut must never be met again, in this segment or in later ones: a new one that
            // follows this one, with a header that says where it was cut.
            let torn = chain.links.last { $0.segment.first <= tail }?.segment ?? newest
            block.active.store(torn.first)
            try log.position(at: max(tail, torn.firstRecord), active: torn.first, last: last)
            try log.beginSegment(head: rebuild.head, settings: rebuild.counters.settings)
        } else {
            // Nothing counts: the log begins anew, behind what is there, which goes as what lies below a head goes.
            tail = 0
            block.active.store(0)
            rebuild.head = 0
            if !chain.links.isEmpty || !chain.gaps.isEmpty {
                try log.beginSegment(head: 0, settings: 0)
                rebuild.head = log.activeFirst
                log.dropBelow(rebuild.head)
            }
        }
        FaultPoint.reach(.rebuildSegmentWritten)
        // Who is killed from here on has left what the next one needs to know, before the next one finds that all is well.
        // Of the files that were replaced some may be there still.
        block.deadFiles.store(tail)
        if block.synced.relaxed() > tail { block.synced.store(0) }
        // Unlinks come back after a power loss, and what was cut off may have had files.
        let isNew = chain.links.isEmpty && chain.gaps.isEmpty
        block.deadFrom.store(isNew ? 0 : max(rebuild.head, UInt64(SegmentHeader.granule)))
        block.unswept.store(isNew ? 0 : 1)
        index.cover(tail)
        Seal.clear(base)
        block.publish(tail: tail, head: rebuild.head, rebuild.counters)
        block.indexGeneration.release(generation)
        block.owner.store(0)
        block.syncing.store(0)
        noteBoot()
        FaultPoint.reach(.indexPublished)
        do throws(SystemError) {
            // Not the one that `meta` named alone: after a power loss there may be older ones, or another may be named.
            for old in try files.list(directory)
            where IndexLayout.generation(ofName: old).map({ $0 != generation })
                ?? (StampFile.generation(ofName: old) != nil)
            {
                try files.unlinkIfPresent(old, in: directory)
            }
            // Whoever seals or reads a segment may write another.
            for name in try files.list(log.directory) {
                if let first = SegmentHint.position(ofName: name), hints[first] == nil || rebuild.scanner.hints.isEmpty
                {
                    try files.unlinkIfPresent(name, in: log.directory)
                }
            }
        } catch {
            throw EngineError(error)
        }
        // A store that was made just now has nothing to report.
        return (index, isNew ? nil : rebuild.report)
    }

    /// The segments of the log, and where it begins. `knownHead`: as the commit block says. `before`: see `LogScanner.chain`.
    private func bounds(
        knownHead: Position?, before end: Position = .max
    ) throws(EngineError) -> (
        chain: (links: [LogScanner.Link], gaps: [LogScanner.Gap], head: Position), head: Position
    ) {
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: knownHead, before: end)
        var head = chain.head
        if chain.links.count > 1 || !chain.gaps.isEmpty {
            // What lies below a `clear` in the newest segment may be gone, or torn, rightly.
            let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: 0)
            head = max(head, try scanner.newestHead(closing: chain.gaps, before: end))
        }
        return (chain, head)
    }

    /// A new index of a generation, filled from the log.
    private func fill(
        _ scanner: LogScanner, _ generation: UInt64, _ head: Position, _ reason: String, _ gaps: [LogScanner.Gap]
    ) throws(EngineError) -> Rebuild {
        let valueFiles = ValueFiles(directory: directory, environment: Environment(files: files))
        let index = try HashIndex.create(
            generation: generation, in: directory, files: files, storeID: identity.storeID, boot: boot)
        var rebuild = Rebuild(
            files: files, log: log, hash: KeyHash(storeID: identity.storeID), scanner: scanner, index: index,
            head: head, reason: reason, gaps: gaps
        ) { file throws(EngineError) in try valueFiles.isWhole(file) }
        try rebuild.run()
        return rebuild
    }

    /// A generation beyond that of every index file: what `meta` says may be anything.
    static func nextGeneration(
        _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(EngineError) -> UInt64 {
        do throws(SystemError) {
            return (try files.list(directory).compactMap { IndexLayout.generation(ofName: $0) }.max() ?? 0) + 1
        } catch {
            throw EngineError(error)
        }
    }
}
