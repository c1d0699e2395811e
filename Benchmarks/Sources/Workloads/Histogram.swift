/// Counts of durations in nanoseconds: exact below 128, above that 64 buckets for each doubling, so that a percentile
/// is at most 1.6 % off. Minimum, maximum and mean are exact.
public struct Histogram: Sendable {
    /// Durations counted.
    public private(set) var count = 0
    /// The longest duration.
    public private(set) var maximum: UInt32 = 0
    private var sum: UInt64 = 0
    private var buckets = [UInt64](repeating: 0, count: Histogram.bucket(.max) + 1)

    /// A histogram of nothing.
    public init() {}

    /// A histogram of `durations`.
    public init(_ durations: UnsafeBufferPointer<UInt32>) {
        for duration in durations { add(duration) }
    }

    /// Counts one duration.
    public mutating func add(_ duration: UInt32) {
        buckets[Self.bucket(duration)] += 1
        count += 1
        sum += UInt64(duration)
        maximum = max(maximum, duration)
    }

    /// Counts all that `other` counted.
    public mutating func add(_ other: Histogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        count += other.count
        sum += other.sum
        maximum = max(maximum, other.maximum)
    }

    /// The mean duration; 0 of nothing.
    public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    /// The duration that `fraction` of all don't exceed (0.5 for the median); 0 of nothing.
    public func percentile(_ fraction: Double) -> Double {
        let rank = UInt64(max(1, (fraction * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, bucket) in buckets.enumerated() {
            seen += bucket
            if seen >= rank { return min(Double(Self.middle(index)), Double(maximum)) }
        }
        return Double(maximum)
    }

    /// The buckets that hold anything: a duration in the middle of the bucket, and how many it holds.
    public var counts: [(nanoseconds: UInt64, count: UInt64)] {
        buckets.indices.filter { buckets[$0] > 0 }.map { (Self.middle($0), buckets[$0]) }
    }

    static func bucket(_ duration: UInt32) -> Int {
        let shift = max(0, 25 - duration.leadingZeroBitCount)
        return shift * 64 + Int(duration >> UInt32(shift))
    }

    static func middle(_ bucket: Int) -> UInt64 {
        let shift = max(0, bucket / 64 - 1)
        let start = UInt64(bucket - shift * 64) << UInt64(shift)
        return start + (1 << UInt64(shift)) / 2
    }
}
