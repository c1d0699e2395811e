import TestSupport
import Testing

@testable import DiskCacheEngine

/// Collected changes beside a dictionary: sorted once or again and again, the last change of a key counts.
@Suite struct BTreeChangesTests {
    private func bytes<R>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes(body)
    }

    @Test func sortedInRunsTheLastChangeCounts() throws {
        var random = ReplayableRandom(tree: "sorted in runs")
        for _ in 0..<60 {
            let changes = BTreeChanges()
            var model: [[UInt8]: [UInt8]?] = [:]
            let keys = (0..<1 + random.below(200)).map { _ in random.key() }
            for _ in 0..<1 + random.below(12) {
                for _ in 0..<random.below(80) {
                    let key = keys[random.below(keys.count)]
                    if random.below(3) == 0 {
                        try bytes(key) { try changes.delete($0) }
                        model.updateValue(nil, forKey: key)
                    } else {
                        let value = random.bytes(random.below(9))
                        try bytes(key) { key in try bytes(value) { try changes.insert(key, $0) } }
                        model.updateValue(value, forKey: key)
                    }
                }
                changes.sort()
                let wanted = model.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                #expect(changes.count == wanted.count)
                for (index, (key, value)) in wanted.enumerated() where index < changes.count {
                    #expect(Array(changes.key(index)) == key)
                    #expect(changes.isDeletion(index) == (value == nil))
                    if let value { #expect(Array(changes.value(index)) == value) }
                }
                if random.below(6) == 0 {
                    changes.removeAll()
                    model.removeAll()
                }
            }
        }
    }
}
