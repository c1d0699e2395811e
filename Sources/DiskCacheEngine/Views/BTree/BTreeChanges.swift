/// Insertions and deletions on their way into a tree: collected in any order, then sorted; of several of one key the last counts.
///
/// Bytes are copied in; one object is made to be used again and again.
final class BTreeChanges {
    /// One change. `valueCount` below 0: a deletion.
    struct Change {
        /// The key's first eight bytes, which decide most comparisons.
        var head: UInt64
        var offset: Int
        var keyCount: Int32
        var valueCount: Int16
        var order: UInt32
    }

    private let bytes = ByteBuffer(capacity: 64 << 10)
    @exclusivity(unchecked) private(set) var changes: [Change] = []
    /// How many of them, from the first on, are sorted.
    @exclusivity(unchecked) private var sortedCount = 0

    /// How many changes there are; after `sort` each is of another key.
    var count: Int { changes.count }

    /// Bytes of memory in use.
    var byteCount: Int { bytes.count + changes.count * MemoryLayout<Change>.stride }

    func removeAll() {
        bytes.removeAll()
        changes.removeAll(keepingCapacity: true)
        sortedCount = 0
    }

    /// An entry that is to be there, with a value of at most 64 bytes, in place of the key's old one.
    func insert(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(EngineError) {
        guard value.count <= PageLayout.maximumValue else {
            throw EngineError(.valueTooLarge, "an entry of a tree holds at most \(PageLayout.maximumValue) bytes")
        }
        try append(key, valueCount: Int16(value.count))
        if let start = value.baseAddress { bytes.append(start, value.count) }
    }

    /// A key that is not to be there.
    func delete(_ key: UnsafeRawBufferPointer) throws(EngineError) { try append(key, valueCount: -1) }

    private func append(_ key: UnsafeRawBufferPointer, valueCount: Int16) throws(EngineError) {
        guard key.count <= PageLayout.maximumKey else {
            throw EngineError(.keyTooLarge, "a key in a tree has at most \(PageLayout.maximumKey) bytes")
        }
        let offset = bytes.count
        if let start = key.baseAddress { bytes.append(start, key.count) }
        let change = Change(
            head: ByteOrder.head(bytes.base + offset, key.count), offset: offset, keyCount: Int32(key.count),
            valueCount: valueCount, order: UInt32(truncatingIfNeeded: changes.count))
        if sortedCount == changes.count, changes.last.map({ compare($0, change) < 0 }) ?? true { sortedCount += 1 }
        changes.append(change)
    }

    /// Puts the changes into the order of their keys and drops all but the last of each. What was sorted before is merged with what
    /// came since: O(n + k log k) for k new ones.
    func sort() {
        if sortedCount == changes.count { return }
        var run = Array(changes[sortedCount...])
        run.sort { a, b in
            let order = compare(a, b)
            return order == 0 ? a.order < b.order : order < 0
        }
        var kept = 0
        for index in run.indices {
            if kept > 0, compare(run[kept - 1], run[index]) == 0 { kept -= 1 }
            run[kept] = run[index]
            kept += 1
        }
        run.removeSubrange(kept...)
        changes.removeSubrange(sortedCount...)
        merge(run)
        sortedCount = changes.count
    }

    /// Merges a sorted run into the changes, which are sorted, from the back: what lies before the run's least key isn't touched.
    private func merge(_ run: [Change]) {
        var own = changes.count - 1
        var new = run.count - 1
        changes.append(contentsOf: run)
        var place = changes.count - 1
        while new >= 0 {
            let order = own >= 0 ? compare(changes[own], run[new]) : -1
            if order > 0 {
                changes[place] = changes[own]
                own -= 1
            } else {
                // Of one key the newer counts.
                if order == 0, own >= 0 { own -= 1 }
                changes[place] = run[new]
                new -= 1
            }
            place -= 1
        }
        changes.removeSubrange(own + 1..<place + 1)
    }

    @inline(__always)
    private func compare(_ a: Change, _ b: Change) -> Int {
        if a.head != b.head { return a.head < b.head ? -1 : 1 }
        return ByteOrder.compare(bytes.base + a.offset, Int(a.keyCount), bytes.base + b.offset, Int(b.keyCount))
    }

    @inline(__always)
    func key(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes.base + changes[index].offset, count: Int(changes[index].keyCount))
    }

    @inline(__always) func isDeletion(_ index: Int) -> Bool { changes[index].valueCount < 0 }

    /// The value of an insertion.
    @inline(__always)
    func value(_ index: Int) -> UnsafeRawBufferPointer {
        let change = changes[index]
        return UnsafeRawBufferPointer(
            start: bytes.base + change.offset + Int(change.keyCount), count: max(0, Int(change.valueCount)))
    }
}
