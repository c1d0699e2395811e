#if FAILPOINTS
    import Synchronization
    import TestSupport

    @testable import DiskCacheEngine

    /// Runs the real engine in threads of which exactly one goes on at a time: at every access to shared memory the machine decides
    /// who does the next one. The decisions make a schedule, and the same schedule gives the same run.
    ///
    /// A killed actor's thread goes on to its end, alone, so that it unwinds; then everything that it stored since is taken back:
    /// to the others it is as if it had ended at that instant. Its locks are free from then on.
    final class StepMachine: @unchecked Sendable {
        /// The thread that has the baton; 0: none, the harness itself is at work.
        private static let running = Atomic<UInt>(0)
        private nonisolated(unsafe) static var machine: StepMachine?
        /// The thread that settles after the run: it meets a planted mutant too.
        static let harness = Atomic<UInt>(0)

        /// Takes hold of the engine once and for all. The functions capture nothing and stay, so that a thread of another test that
        /// reads them at this very moment reads either none or all of them.
        static let isInstalled: Bool = {
            Mutant.isMetHere = {
                StepMachine.isActor || StepMachine.harness.load(ordering: .relaxed) == SystemCalls.threadID()
            }
            StepPoint.isScheduled = { StepMachine.isActor }
            StepPoint.scheduler = { kind, address, count in
                guard StepMachine.isActor, let machine = StepMachine.machine else { return true }
                return machine.access(kind, address, count)
            }
            return true
        }()

        private static var isActor: Bool { running.load(ordering: .relaxed) == SystemCalls.threadID() }

        final class Actor {
            let turn = ParkingWord(0)
            var thread: UInt = 0
            var isDead = false
            var isDone = false
            var isBlocked = false
            /// Killed inside a copy: what was there before, and how much of the copy counts.
            var torn: (address: UnsafeMutableRawPointer, before: [UInt8], done: Int)?
        }

        let actors: [Actor]
        private let ended = ParkingWord(0)
        private let stops = Atomic<Bool>(false)
        private let left: Atomic<Int>
        private var body: (Int) -> Void = { _ in }
        @exclusivity(unchecked) private(set) var current = 0
        /// The running actor's bit, and whether it is dead.
        @exclusivity(unchecked) private var me: UInt32 = 1
        @exclusivity(unchecked) private var isCurrentDead = false
        /// Set while the harness looks around on an actor's thread: its own accesses are no steps.
        @exclusivity(unchecked) var isLooking = false

        // The world's part.
        var beforeStep: () -> Void = {}
        var onDeath: (_ actor: Int) -> Void = { _ in }
        var onBurial: (_ actor: Int) -> Void = { _ in }

        // The run.
        @exclusivity(unchecked) private(set) var step = 0
        private var deviations: [Deviation] = []
        private var nextDeviation = 0
        private(set) var taken: [Deviation] = []
        private(set) var choices: [Choice] = []
        private var random: ReplayableRandom?
        private var rarity = 0
        private var killRarity = 0
        private var kills = 0
        private(set) var failure: String?
        private(set) var trace: [String] = []
        var traces = false
        private(set) var totalSteps = 0

        /// Who loads and who stores each word, as far as any run has shown: a mask of loaders in the low half, of storers above.
        private let traffic: UnsafeMutablePointer<UInt32>
        static let words = 1 << 18

        init(actors count: Int) {
            _ = Self.isInstalled
            actors = (0..<count).map { _ in Actor() }
            left = Atomic(count)
            traffic = .allocate(capacity: Self.words)
            traffic.initialize(repeating: 0, count: Self.words)
            ranges = .allocate(capacity: count * Self.rangeRoom)
            rangeCounts = .allocate(capacity: count)
            rangeCounts.initialize(repeating: 0, count: count)
            for index in 0..<count {
                do {
                    try SystemCalls.startThread { [self] in live(index) }
                } catch {
                    fatalError("\(error)")
                }
            }
        }

        deinit {
            traffic.deallocate()
            ranges.deallocate()
            rangeCounts.deallocate()
        }

        /// Ends the threads.
        func stop() {
            stops.store(true, ordering: .sequentiallyConsistent)
            for actor in actors { wake(actor) }
            while left.load(ordering: .sequentiallyConsistent) > 0 { SystemCalls.yieldThread() }
        }

        private func wake(_ actor: Actor) {
            actor.turn.store(1)
            actor.turn.wake()
        }

        private func sleep(_ actor: Actor) {
            while actor.turn.load() == 0 { actor.turn.wait(while: 0, nanoseconds: 1_000_000_000) }
            actor.turn.store(0)
        }

        /// Where files are mapped: low, high, place, by actor; the newest first.
        struct Range {
            var low: UInt
            var high: UInt
            var place: Int
        }
        private static let rangeRoom = 32
        private let ranges: UnsafeMutablePointer<Range>
        private let rangeCounts: UnsafeMutablePointer<Int>

        /// An actor has mapped a file. Addresses that were unmapped serve again, so the newest counts.
        func map(_ range: Range, by actor: Int) {
            guard actor >= 0 else { return }
            let list = ranges + actor * Self.rangeRoom
            let count = min(rangeCounts[actor], Self.rangeRoom - 1)
            for at in 0..<count where list[at].low == range.low {
                list[at] = range
                return
            }
            for at in stride(from: count, to: 0, by: -1) { list[at] = list[at - 1] }
            list[0] = range
            rangeCounts[actor] = count + 1
        }

        /// A new world has other mappings.
        func forgetMappings() { for actor in actors.indices { rangeCounts[actor] = 0 } }

        private func locate(_ address: UInt) -> Int {
            let list = ranges + current &* Self.rangeRoom
            var at = 0
            let count = rangeCounts[current]
            while at < count {
                if address >= list[at].low, address < list[at].high {
                    if list[at].place == Self.recordPlaces { return Self.recordPlaces }
                    let word = Int(address &- list[at].low) &>> 3
                    return word < 58_000 ? list[at].place &+ word : -1
                }
                at &+= 1
            }
            return -1
        }

        private func live(_ index: Int) {
            let actor = actors[index]
            actor.thread = SystemCalls.threadID()
            while true {
                sleep(actor)
                if stops.load(ordering: .sequentiallyConsistent) { break }
                // The baton's word could be older than this thread's first entry.
                Self.running.store(actor.thread, ordering: .sequentiallyConsistent)
                body(index)
                isLooking = true
                if actor.torn != nil { bury(index) }
                if actor.isDead { onBurial(index) } else { beforeStep() }
                isLooking = false
                actor.isDone = true
                handOn()
            }
            left.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }

        // MARK: A run

        enum Mode {
            /// Exactly these deviations.
            case replay([Deviation])
            /// A switch at one in `rarity` places, a kill at one in `killRarity`, `kills` at most.
            case random(seed: UInt64, rarity: Int, killRarity: Int, kills: Int)
        }

        /// Runs all actors to their ends.
        func run(_ mode: Mode, _ body: @escaping (Int) -> Void) {
            self.body = body
            for actor in actors {
                actor.isDead = false
                actor.isDone = false
                actor.isBlocked = false
                actor.torn = nil
            }
            step = 0
            tailMayHaveMoved = false
            nextDeviation = 0
            taken.removeAll(keepingCapacity: true)
            choices.removeAll(keepingCapacity: true)
            failure = nil
            trace.removeAll()
            kills = 0
            switch mode {
            case .replay(let list):
                deviations = list
                random = nil
            case .random(let seed, let rarity, let killRarity, let kills):
                deviations = []
                random = ReplayableRandom(seed: seed)
                self.rarity = rarity
                self.killRarity = killRarity
                self.kills = kills
            }
            Self.machine = self
            ended.store(0)
            handOn()
            while ended.load() == 0 { ended.wait(while: 0, nanoseconds: 1_000_000_000) }
            Self.running.store(0, ordering: .sequentiallyConsistent)
            Self.machine = nil
            totalSteps += step
        }

        /// The schedule as it was.
        func fail(_ text: @autoclosure () -> String) {
            if failure == nil { failure = text() }
        }

        /// The commit word was stored: the next step looks what came of it.
        @exclusivity(unchecked) private var tailMayHaveMoved = false

        private var runnable: UInt32 {
            var mask: UInt32 = 0
            for (index, actor) in actors.enumerated() where !actor.isDone && !actor.isBlocked {
                mask |= 1 << UInt32(index)
            }
            return mask
        }

        /// The running actor is done or can't go on: somebody else's turn.
        private func handOn() {
            let mask = runnable
            if mask == 0 {
                if let stuck = actors.firstIndex(where: { !$0.isDone }) {
                    fail("actor \(stuck) waits for ever")
                    actors[stuck].isBlocked = false
                    return give(stuck)
                }
                Self.running.store(0, ordering: .sequentiallyConsistent)
                ended.store(1)
                ended.wake()
                return
            }
            step += 1
            var next = mask.trailingZeroBitCount
            if mask & (mask - 1) != 0 {
                let choice = Choice(
                    step: step, actor: next, others: mask & ~(1 << UInt32(next)), isForced: true, canDie: false,
                    canDieInside: false)
                switch decide(choice) {
                case .run(let actor): next = actor
                default: break
                }
            }
            give(next)
        }

        private func give(_ index: Int) {
            turn(to: index)
            if traces { trace.append("-- actor \(index)") }
            wake(actors[index])
        }

        private func turn(to index: Int) {
            current = index
            me = 1 << UInt32(index)
            isCurrentDead = actors[index].isDead
        }

        /// Lets another actor run; returns when it is `index`'s turn again.
        private func give(_ next: Int, from index: Int) {
            give(next)
            comeBack(index)
        }

        private func comeBack(_ index: Int) {
            sleep(actors[index])
            turn(to: index)
            Self.running.store(actors[index].thread, ordering: .sequentiallyConsistent)
        }

        private func decide(_ choice: Choice) -> Deviation.Choice? {
            var decision: Deviation.Choice?
            if random != nil {
                if choice.others != 0, random!.oneIn(choice.isForced ? 2 : rarity) {
                    let count = choice.others.nonzeroBitCount
                    var pick = random!.below(count)
                    var mask = choice.others
                    while pick > 0 {
                        mask &= mask - 1
                        pick -= 1
                    }
                    decision = .run(mask.trailingZeroBitCount)
                } else if choice.canDie, kills > 0, random!.oneIn(killRarity) {
                    kills -= 1
                    decision = choice.canDieInside && random!.oneIn(2) ? .killInside(random!.below(4)) : .kill
                }
            } else if nextDeviation < deviations.count, deviations[nextDeviation].step <= step {
                if deviations[nextDeviation].step == step { decision = deviations[nextDeviation].choice }
                nextDeviation += 1
            }
            choices.append(choice)
            if let decision { taken.append(Deviation(step: step, choice: decision)) }
            return decision
        }

        // MARK: Steps

        /// Words of files that have no place in the table count as met by everybody.
        private func meets(_ kind: StepPoint.Access, _ location: Int, _ count: Int, _ me: UInt32) -> Bool {
            if location < 0 { return true }
            let mine: UInt32 = kind == .load ? me : me << 16 | me
            let others = ~me & 0xFFFF
            var meets = false
            for at in location..<location + max(1, count / 8) {
                let seen = traffic[at]
                if kind == .load {
                    if seen >> 16 & others != 0 { meets = true }
                } else if seen & others != 0 {
                    meets = true
                }
                traffic[at] = seen | mine
            }
            return meets
        }

        /// Where nothing of a file is touched but the file system itself, or a lock.
        func effect(_ name: @autoclosure () -> String) { _ = reach(.store, -1, nil, 0, name()) }

        private func access(_ kind: StepPoint.Access, _ address: UInt, _ count: Int) -> Bool {
            if isLooking { return true }
            let place = locate(address)
            // Most loads are of words that nobody stores to.
            if kind == .load, place >= 0, place < Self.recordPlaces, !traces, !tailMayHaveMoved, !isCurrentDead {
                let seen = traffic[place]
                if seen & me != 0, seen >> 16 & ~me == 0 {
                    step &+= 1
                    if step < 400_000 { return true }
                }
            }
            return reach(kind, place, UnsafeMutableRawPointer(bitPattern: address), count, "")
        }

        /// Of records: nobody steps through them, so nothing is gained by stopping before one is stored.
        static let recordPlaces = 1 << 17

        private func reach(
            _ kind: StepPoint.Access, _ place: Int, _ address: UnsafeMutableRawPointer?, _ count: Int,
            _ name: @autoclosure () -> String
        ) -> Bool {
            let index = current
            let actor = actors[index]
            if actor.isDead {
                if actor.torn != nil { bury(index) }
                return true
            }
            if tailMayHaveMoved {
                tailMayHaveMoved = false
                isLooking = true
                beforeStep()
                isLooking = false
            }
            if place == 0 && kind != .load { tailMayHaveMoved = true }
            let isRecord = place >= Self.recordPlaces
            let meets = !isRecord && meets(kind, place, count, me)
            while true {
                step += 1
                if step > 400_000 {
                    fail("more than 400,000 steps")
                    return true
                }
                if traces { trace.append("\(step) actor \(index) \(kind) \(place) \(count) \(name())") }
                guard meets || kind == .store, failure == nil else { return true }
                let others = meets ? runnable & ~me : 0
                let choice = Choice(
                    step: step, actor: index, others: others, isForced: false, canDie: kind == .store,
                    canDieInside: isRecord && kind == .store)
                switch decide(choice) {
                case nil: return true
                case .run(let next):
                    if runnable >> UInt32(next) & 1 == 0 || next == index { return true }
                    give(next, from: index)
                case .kill:
                    guard kind == .store else { return true }
                    isLooking = true
                    actor.isDead = true
                    isCurrentDead = true
                    onDeath(index)
                    isLooking = false
                    return true
                case .killInside(let quarters):
                    guard kind == .store, let address else { return true }
                    actor.isDead = true
                    isCurrentDead = true
                    actor.torn = (
                        address, Array(UnsafeRawBufferPointer(start: address, count: count)),
                        max(8, count * (quarters + 1) / 4 & ~3)
                    )
                    return true
                }
            }
        }

        /// After the torn copy: the checksum of a record is stored last, so its first four bytes are the old ones, and whatever lies
        /// behind the part that was done.
        private func bury(_ index: Int) {
            let actor = actors[index]
            guard let torn = actor.torn else { return }
            actor.torn = nil
            let was = isLooking
            isLooking = true
            var now = Array(UnsafeRawBufferPointer(start: torn.address, count: torn.before.count))
            let whole = now
            for at in now.indices where at < 4 || at >= torn.done { now[at] = torn.before[at] }
            now.withUnsafeBytes { torn.address.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            onDeath(index)
            // The thread goes on with what it believes to have stored.
            whole.withUnsafeBytes { torn.address.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            isLooking = was
        }

        // MARK: Locks

        /// The running actor waits for something that another one holds.
        func block() {
            let index = current
            actors[index].isBlocked = true
            handOn()
            comeBack(index)
        }

        /// Those who wait may look again.
        func unblock() {
            for actor in actors { actor.isBlocked = false }
        }

        func isDead(_ index: Int) -> Bool { actors[index].isDead }
        /// Whether the calling thread is the actor whose turn it is.
        var isOnActor: Bool { Self.isActor }
    }
#endif
