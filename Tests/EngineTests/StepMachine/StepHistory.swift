#if FAILPOINTS
    @testable import DiskCacheEngine

    /// What a key's value in a step test tells about itself.
    enum StepValue {
        /// The version that means "absent".
        static let absent: Int64 = -1
        /// What no writer writes.
        static let mixed: Int64 = -2

        static func id(key: UInt64, actor: Int, sequence: Int) -> Int64 {
            Int64(key) << 24 | Int64(actor & 0xFF) << 16 | Int64(sequence)
        }

        /// The version that a record holds.
        static func read(_ record: Record) -> Int64 {
            let value = record.value
            guard value.count == 16, record.key.count == 8 else { return mixed }
            let id = value.loadUnaligned(fromByteOffset: 0, as: Int64.self)
            let inverse = value.loadUnaligned(fromByteOffset: 8, as: Int64.self)
            return id == ~inverse && UInt64(id >> 24) == key(record) ? id : mixed
        }

        static func key(_ record: Record) -> UInt64 {
            record.key.count == 8 ? record.key.loadUnaligned(as: UInt64.self) : .max
        }
    }

    /// The log, replayed: the newest version of each key and the counters, computed from the records alone.
    struct StepReplay: Equatable {
        struct Version: Equatable {
            var position: Position
            var size: Int
            var id: Int64
            var rowid: UInt64
        }
        var newest: [UInt64: Version] = [:]
        var count: UInt64 = 0
        var live: UInt64 = 0
        var dead: UInt64 = 0
        var nextRowid: UInt64 = 1
        var head: Position = 0
        /// Where the last record ends that moved the head.
        var headRecordEnd: Position = 0

        /// A copy of what wasn't the newest version.
        var wrongCopy: Position?

        private mutating func forget(_ key: UInt64) {
            guard let old = newest[key], old.id != StepValue.absent else { return }
            count -= 1
            live -= UInt64(old.size + 24)
            dead += UInt64(old.size)
        }

        /// One committed record.
        mutating func apply(_ record: Record) {
            switch record.kind {
            case RecordKind.put.rawValue:
                let key = StepValue.key(record)
                if record.bits.has(RecordBits.copy), newest[key]?.position != record.previous {
                    wrongCopy = record.position
                }
                forget(key)
                count += 1
                live += UInt64(record.size + 24)
                nextRowid = max(nextRowid, record.rowid + 1)
                newest[key] = Version(
                    position: record.position, size: record.size, id: StepValue.read(record), rowid: record.rowid)
            case RecordKind.tombstone.rawValue:
                let key = StepValue.key(record)
                forget(key)
                dead += UInt64(record.size)
                newest[key] = Version(
                    position: record.position, size: record.size, id: StepValue.absent, rowid: record.rowid)
            case RecordKind.void.rawValue:
                dead += record.end - record.valueWord
            case RecordKind.head.rawValue where record.valueWord != record.position:
                head = record.valueWord
                headRecordEnd = record.end
                // Tombstones hide nothing any more.
                newest = newest.filter { $0.value.position >= head || $0.value.id != StepValue.absent }
            case RecordKind.head.rawValue:
                newest.removeAll()
                count = 0
                live = 0
                dead = UInt64(record.size)
                head = record.position
            default:
                dead += UInt64(record.size)
            }
        }

        /// A row that lies below the head.
        var lost: UInt64? { newest.first { $0.value.position < head }?.key }

        /// Everything committed in `from ..< to`; what is wrong with it, or nil.
        mutating func follow(_ log: Log, from: Position, to: Position) -> String? {
            var pending: [Record] = []
            var end = from
            var state = self
            do throws(EngineError) {
                _ = try log.scanTail(from: from) { record in
                    guard record.position < to else { return }
                    if record.kind == RecordKind.void.rawValue { pending.removeAll { $0.position >= record.valueWord } }
                    pending.append(record)
                    if record.isCommit {
                        for item in pending { state.apply(item) }
                        pending.removeAll(keepingCapacity: true)
                        end = record.end
                    }
                }
            } catch {
                return "the log can't be read: \(error)"
            }
            self = state
            return end == to || to == from ? nil : "T is \(to), and the last whole transaction ends at \(end)"
        }
    }

    /// What was committed in one run, in order: built from the log whenever T has moved.
    struct StepHistory {
        let keys: [UInt64]
        /// Versions of each key, oldest first.
        private(set) var versions: [[Int64]]
        private(set) var replay: StepReplay
        private(set) var tail: Position
        /// How many rows there were as of each T.
        private(set) var counts: [(tail: Position, count: UInt64)]
        /// The version that each key had as of each T.
        private(set) var states: [Position: [Int64]]

        init(keys: [UInt64], replay: StepReplay, tail: Position) {
            self.keys = keys
            self.replay = replay
            self.tail = tail
            versions = keys.map { [replay.newest[$0]?.id ?? StepValue.absent] }
            counts = [(tail, replay.count)]
            states = [tail: keys.map { replay.newest[$0]?.id ?? StepValue.absent }]
        }

        /// T has moved: what came with it.
        mutating func advance(to tail: Position, _ log: Log) -> String? {
            if tail < self.tail { return "T went back from \(self.tail) to \(tail)" }
            if let wrong = replay.follow(log, from: self.tail, to: tail) { return wrong }
            self.tail = tail
            if let copy = replay.wrongCopy { return "the copy at \(copy) isn't of its key's newest version" }
            if let lost = replay.lost { return "the head has passed the newest version of key \(lost)" }
            states[tail] = keys.map { replay.newest[$0]?.id ?? StepValue.absent }
            for (index, key) in keys.enumerated() {
                let id = replay.newest[key]?.id ?? StepValue.absent
                if versions[index].last != id { versions[index].append(id) }
            }
            counts.append((tail, replay.count))
            return nil
        }

        func index(_ key: UInt64) -> Int { keys.firstIndex(of: key)! }
    }
#endif
