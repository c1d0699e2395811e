import DiskCacheCore

/// One write of the writer that is killed. Round and number say it all, so that who comes after knows what must be there.
///
/// Odd numbers add a key, even ones overwrite one of 64; one value in 250 is large enough for a file of its own.
struct DemoWrite {
    static let overwrittenKeys: UInt64 = 64

    let round: Int
    let number: UInt64

    /// Its key.
    var key: String {
        let place = isAdding ? "added/\(number)" : "overwritten/\(number / 2 % Self.overwrittenKeys)"
        return "written/\(round)/\(place)"
    }

    /// Whether nobody else writes this key.
    var isAdding: Bool { number % 2 == 1 }

    /// Its value: its number, then bytes that follow from it.
    var value: [UInt8] {
        let count = number % 250 == 249 ? 40_000 : 100 + Int(number * 37 % 400)
        var bytes = [number].littleEndianBytes
        bytes.reserveCapacity(8 + count)
        var state = number &* 0x9E37_79B9_7F4A_7C15 | 1
        for _ in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            bytes.append(UInt8(truncatingIfNeeded: state >> 56))
        }
        return bytes
    }

    /// How many of the first `acknowledged` writes of a round aren't to be found, and how many keys the round has left.
    ///
    /// The write behind the last acknowledged one may be there or not: it was under way.
    static func lost(in cache: Cache, round: Int, acknowledged: UInt64) throws -> (lost: Int, keys: Int) {
        var (lost, keys) = (0, 0)
        for number in stride(from: 1, to: acknowledged, by: 2) {
            let write = DemoWrite(round: round, number: number)
            if try cache.get(write.key, as: [UInt8].self) == write.value { keys += 1 } else { lost += 1 }
        }
        let underWay = DemoWrite(round: round, number: acknowledged)
        if underWay.isAdding, let value = try cache.get(underWay.key, as: [UInt8].self) {
            keys += 1
            if value != underWay.value { lost += 1 }
        }
        for slot in 0..<overwrittenKeys {
            // The last acknowledged write to this key: none, if the writer didn't come that far.
            let last = stride(from: slot * 2, to: acknowledged, by: Int(overwrittenKeys) * 2).reversed().first
            let key = DemoWrite(round: round, number: slot * 2).key
            let value = try cache.get(key, as: [UInt8].self)
            if value != nil { keys += 1 }
            let isLast = value == last.map { DemoWrite(round: round, number: $0).value }
            let isUnderWay = underWay.key == key && value == underWay.value
            if !isLast && !isUnderWay { lost += 1 }
        }
        return (lost, keys)
    }
}
