/// When an item expires. An item is expired from the very instant on.
public struct Expiration: Hashable, Sendable {
    private enum Kind: Hashable {
        case never
        case after(Duration)
        case at(Double)
    }

    private let kind: Kind

    private init(kind: Kind) {
        self.kind = kind
    }

    /// The item doesn't expire.
    public static let never = Expiration(kind: .never)

    /// The item expires when `duration` has passed since it was stored. Zero or less: it is expired at once.
    public static func after(_ duration: Duration) -> Expiration {
        Expiration(kind: .after(duration))
    }

    /// The item expires at a time, in seconds since 1970 (UTC). Infinity is never; NaN is a time that has passed.
    public static func at(secondsSinceEpoch seconds: Double) -> Expiration {
        Expiration(kind: .at(seconds))
    }

    /// Whether what is stored now is expired at once; `now` in microseconds since 1970.
    package func isOver(at now: Int64) -> Bool { microseconds(now: now).map { $0 <= now } ?? false }

    /// The time in microseconds since 1970, rounded up so that no item expires early; nil for never.
    ///
    /// Always positive: a time before 1970 has passed as well as 1970 itself, and files use 0 for something else.
    /// What is beyond 64 bits is `Int64.max`.
    func microseconds(now: Int64) -> Int64? {
        switch kind {
        case .never:
            return nil
        case .after(let duration):
            let (sum, overflow) = now.addingReportingOverflow(duration.roundedUpMicroseconds)
            return max(1, overflow ? (now < 0 ? .min : .max) : sum)
        case .at(let seconds):
            if seconds.isNaN { return max(1, now) }
            if seconds == .infinity { return nil }
            let microseconds = (seconds * 1_000_000).rounded(.up)
            if microseconds < 1 { return 1 }
            return Int64(exactly: microseconds) ?? .max
        }
    }
}

extension Duration {
    /// The duration in whole microseconds, rounded up, and clamped to 64 bits.
    var roundedUpMicroseconds: Int64 {
        // `components` traps beyond 64 bits of seconds, which is far beyond 64 bits of microseconds.
        let limit = Int64.max / 1_000_000 - 1
        if self >= .seconds(limit) { return .max }
        if self <= .seconds(-limit) { return .min }
        let (seconds, attoseconds) = components
        let perMicrosecond: Int64 = 1_000_000_000_000
        // Truncating division rounds a negative rest up already.
        let rest = attoseconds / perMicrosecond + (attoseconds % perMicrosecond > 0 ? 1 : 0)
        return seconds * 1_000_000 + rest
    }
}
