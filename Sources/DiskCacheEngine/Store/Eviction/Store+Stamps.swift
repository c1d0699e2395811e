import Synchronization

/// Access stamps: which are kept, and keeping them.
extension Store {
    /// Bytes of a segment of a small store that much is written to.
    private static var busyLength: Int { 512 << 10 }

    /// *Writer.* The settings are others than before: what follows from them for eviction, in this process and, through `modes`, in all.
    func applySettings() {
        let policy = settings.evictionPolicy
        eviction.capacity = Self.isBound(settings) ? Self.capacity(settings) : .max
        log.busyLength = Self.isBound(settings) ? min(Self.busyLength, Self.bound(settings) / 64) : Self.busyLength
        eviction.largestRow.store(eviction.capacity, ordering: .relaxed)
        if policy != eviction.policy { forgetVictims() }
        eviction.policy = policy
        eviction.keepsStamps = Modes(settings).keepsStamps
        eviction.checkpoint = 0
        eviction.deadCheckpoint = 0
        announceModes()
    }

    /// *Writer.* Makes the settings that hold from here on known to all readers, and the file of stamps what the policy wants.
    func announceModes() {
        let old = block.modes.relaxed()
        let new = Modes(settings).raw
        if !eviction.keepsStamps {
            if old != new | old & Modes.serialBits { block.modes.store(new | old & Modes.serialBits) }
            if Modes(raw: old).keepsStamps {
                try? files.unlinkIfPresent(StampFile.name(index.generation), in: directory)
            }
            if index.stamps != nil { index.attach(nil) }
            return
        }
        let kept = new | old & Modes.serialBits
        if Modes(raw: old).policy == Modes(raw: new).policy, openStamps(index, kept & Modes.stampBits) {
            if kept != old { block.modes.store(kept) }
            return
        }
        let made = new | ((old &>> 32 &+ 1) &<< 32)
        // Also where the file can't be made: rows rank by what their records say then.
        _ = makeStamps(index, made & Modes.stampBits)
        block.modes.release(made)
    }

    /// *Writer.* Puts an empty file of stamps beside an index that is about to become the current one.
    func makeStamps(for new: HashIndex) {
        guard eviction.keepsStamps else { return }
        _ = makeStamps(new, block.modes.relaxed() & Modes.stampBits)
    }

    private func makeStamps(_ index: HashIndex, _ modes: UInt64) -> Bool {
        do throws(SystemError) {
            let stamps = try StampFile.create(
                generation: index.generation, modes: modes, size: index.validPages * IndexLayout.pageSize,
                in: directory, files: files, storeID: identity.storeID)
            index.attach(stamps)
            return true
        } catch {
            index.attach(nil)
            return false
        }
    }

    /// Whether the file of stamps of an index and of these modes is open, or could be opened.
    private func openStamps(_ index: HashIndex, _ modes: UInt64) -> Bool {
        if index.stamps?.modes == modes { return true }
        do throws(SystemError) {
            let stamps = try StampFile.open(
                generation: index.generation, modes: modes, in: directory, files: files, storeID: identity.storeID)
            guard let stamps else { return false }
            index.attach(stamps)
            return true
        } catch {
            return false
        }
    }

    /// A row was read: its stamp says so, in one relaxed store. `modes` as loaded, not 0. Takes no lock; the caller is counted in
    /// `ReaderPins`.
    @inline(never)
    func stamp(_ view: IndexView, _ slot: SharedWord, _ record: Record, modes: UInt64) {
        guard Modes(raw: modes).keepsStamps else { return }
        let modes = modes & Modes.stampBits
        let address = view.stamps.pointee.load(ordering: .acquiring)
        guard address != 0, let pointer = UnsafeRawPointer(bitPattern: address) else {
            return stampAfterOpening(view, slot, record, modes)
        }
        let offset = UnsafeMutableRawPointer(slot.address) - view.base
        let fits = Unmanaged<StampFile>.fromOpaque(pointer)._withUnsafeGuaranteedRef { stamps -> Bool in
            guard stamps.modes == modes else { return false }
            guard let word = stamps.word(at: offset) else { return true }
            let old = word.pointee.load(ordering: .relaxed)
            if Modes(raw: modes).policy == Eviction.leastRecentlyUsed.rawValue {
                // A hot key once a tick; never back.
                let now = UInt64(bitPattern: max(environment.wallClock() / 1000 &- identity.epoch, 0))
                if now > old { word.pointee.store(now, ordering: .relaxed) }
            } else {
                word.pointee.store(Stamp.counted(old, rowid: record.rowid), ordering: .relaxed)
            }
            return true
        }
        if !fits { stampAfterOpening(view, slot, record, modes) }
    }

    /// The first access since the store was opened, or since another process has begun to keep stamps or has made them anew.
    @inline(never)
    private func stampAfterOpening(_ view: IndexView, _ slot: SharedWord, _ record: Record, _ modes: UInt64) {
        if view.missedModes.pointee.load(ordering: .relaxed) == modes { return }
        let isOpen = view.index._withUnsafeGuaranteedRef { openStamps($0, modes) }
        if isOpen {
            stamp(view, slot, record, modes: modes)
        } else {
            view.missedModes.pointee.store(modes, ordering: .relaxed)
        }
    }

    /// What a write does to its row's number of accesses.
    enum Access {
        /// Begins anew.
        case reset
        /// Counts as one.
        case counted
        /// Is none.
        case none
    }

    /// *Writer.* The stamp of a row that was written in its place: under least-frequently-used alone, since otherwise the record's
    /// own store time says it.
    @inline(never)
    func stampWrite(_ slot: SharedWord, rowid: UInt64, _ access: Access) {
        guard let word = index.stamps?.word(at: index.offset(of: slot)) else { return }
        switch access {
        case .reset: word.pointee.store(0, ordering: .relaxed)
        case .counted:
            word.pointee.store(
                Stamp.counted(word.pointee.load(ordering: .relaxed), rowid: rowid), ordering: .relaxed)
        case .none: break
        }
    }
}
