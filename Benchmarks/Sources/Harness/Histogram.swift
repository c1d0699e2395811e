/// Counts of durations in nanoseconds: exact below 128, above that 64 buckets for each doubling, so that a percentile
/// is at most 1.6 % off. Minimum, maximum and mean are exact.
public struct Histogram: Sendable, Codable {
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

    /// How many durations were longer than `limit` nanoseconds.
    public func count(over limit: UInt64) -> Int {
        counts.reduce(0) { $1.nanoseconds > limit ? $0 + Int($1.count) : $0 }
    }

    private enum CodingKeys: String, CodingKey {
        case count, maximum, sum, buckets
    }

    /// Only buckets that hold anything are written: a list of bucket, count, bucket, count, …
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(count, forKey: .count)
        try container.encode(maximum, forKey: .maximum)
        try container.encode(sum, forKey: .sum)
        let full = buckets.indices.filter { buckets[$0] > 0 }
        try container.encode(full.flatMap { [UInt64($0), buckets[$0]] }, forKey: .buckets)
    }

    /// Reads what `encode` wrote.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        count = try container.decode(Int.self, forKey: .count)
        maximum = try container.decode(UInt32.self, forKey: .maximum)
        sum = try container.decode(UInt64.self, forKey: .sum)
        let pairs = try container.decode([UInt64].self, forKey: .buckets)
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            guard let bucket = Int(exactly: pairs[index]), buckets.indices.contains(bucket) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .buckets, in: container, debugDescription: "no such bucket")
            }
            buckets[bucket] = pairs[index + 1]
        }
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
