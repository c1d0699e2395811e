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
    @exclusivity(unchecked) private var isSorted = true

    /// How many changes there are; after `sort` each is of another key.
    var count: Int { changes.count }

    /// Bytes of memory in use.
    var byteCount: Int { bytes.count + changes.count * MemoryLayout<Change>.stride }

    func removeAll() {
        bytes.removeAll()
        changes.removeAll(keepingCapacity: true)
        isSorted = true
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
        if isSorted, let last = changes.last, compare(last, change) >= 0 { isSorted = false }
        changes.append(change)
    }

    /// Puts the changes into the order of their keys and drops all but the last of each.
    func sort() {
        if isSorted { return }
        changes.sort { a, b in
            if a.head != b.head { return a.head < b.head }
            let order = compare(a, b)
            return order == 0 ? a.order < b.order : order < 0
        }
        var kept = 0
        for index in changes.indices {
            if kept > 0, compare(changes[kept - 1], changes[index]) == 0 { kept -= 1 }
            changes[kept] = changes[index]
            kept += 1
        }
        changes.removeSubrange(kept...)
        for index in changes.indices { changes[index].order = UInt32(truncatingIfNeeded: index) }
        isSorted = true
    }

    @inline(__always)
    private func compare(_ a: Change, _ b: Change) -> Int {
        ByteOrder.compare(bytes.base + a.offset, Int(a.keyCount), bytes.base + b.offset, Int(b.keyCount))
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
