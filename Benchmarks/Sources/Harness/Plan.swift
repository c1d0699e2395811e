#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The steps of a workload, described: who has a plan makes the same script from it, in any process.
public struct Plan: Codable, Sendable {
    /// How keys are chosen.
    public enum Choice: String, Codable, Sendable {
        /// Each key once, in an order that is random and the same in every run.
        case shuffled
        /// Every key is as likely as any other.
        case uniform
        /// Zipf's law with exponent 0.99, as in YCSB; the frequent keys lie anywhere among the others.
        case zipf
        /// The same law, and the frequent keys are those stored last.
        case latest
    }

    /// A verb, and how often it comes among a hundred.
    public struct Share: Codable, Sendable {
        /// What is done.
        public let verb: Verb
        /// How often.
        public let percent: Double
    }

    /// The verbs; percents that add up to 100.
    public var shares: [Share]
    /// How keys are chosen.
    public var choice: Choice
    /// Steps.
    public var count: Int
    /// Keys in the store.
    public var keys: Int
    /// What the choices start from. Plans of different seeds store different new keys.
    public var seed: UInt64

    /// A plan of one verb.
    public init(_ verb: Verb, _ choice: Choice = .shuffled, count: Int, keys: Int, seed: UInt64 = 0) {
        self.init([(verb, 100)], choice, count: count, keys: keys, seed: seed)
    }

    /// A plan of several verbs, with the percents that each has.
    public init(_ shares: [(Verb, Double)], _ choice: Choice, count: Int, keys: Int, seed: UInt64 = 0) {
        self.shares = shares.map { Share(verb: $0, percent: $1) }
        (self.choice, self.count, self.keys, self.seed) = (choice, count, keys, seed)
    }

    /// The steps.
    public func script() -> [UInt32] {
        var random = SplitMix64(state: 42 &+ seed &* 0x2545_F491_4F6C_DD1D)
        let order = choice == .shuffled ? Self.order(of: keys, &random) : []
        let zipf = choice == .zipf || choice == .latest ? Zipf(keys) : nil
        var stored = keys
        var script: [UInt32] = []
        script.reserveCapacity(count)
        for index in 0..<count {
            let verb = verb(&random)
            var number: Int
            switch choice {
            case .shuffled: number = Int(order[index % keys])
            case .uniform: number = Int(random.next() % UInt64(keys))
            case .zipf: number = Int(UInt64(zipf!.rank(&random)) &* 7_368_787 % UInt64(keys))
            case .latest: number = max(0, stored - 1 - zipf!.rank(&random))
            }
            switch verb {
            // In a mix, what is stored anew comes behind all keys; alone, it is the keys.
            case .set where shares.count > 1:
                number = choice == .latest ? stored : stored + Int(seed) * count
                stored += 1
            case .miss: number += keys
            case .incr: number = 3 * keys + index % 100
            case .push, .pull, .scanSorted, .scanInsertion: number = 0
            default: break
            }
            script.append(verb.step(number))
        }
        return script
    }

    private func verb(_ random: inout SplitMix64) -> Verb {
        guard shares.count > 1 else { return shares[0].verb }
        var draw = random.fraction() * 100
        for share in shares {
            if draw < share.percent { return share.verb }
            draw -= share.percent
        }
        return shares[shares.count - 1].verb
    }

    /// 0, 1, … `count - 1`, shuffled.
    private static func order(of count: Int, _ random: inout SplitMix64) -> [UInt32] {
        var order = (0..<UInt32(count)).map { $0 }
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, Int(random.next() % UInt64(index + 1)))
        }
        return order
    }
}

/// Ranks by Zipf's law with exponent 0.99, as YCSB draws them (Gray et al., *Quickly generating billion-record synthetic
/// databases*, SIGMOD 1994): 0 is the most frequent.
struct Zipf {
    private let count: Int
    private let zeta: Double
    private let eta: Double
    private static let theta = 0.99

    init(_ count: Int) {
        self.count = count
        zeta = (1...count).reduce(0.0) { $0 + 1 / pow(Double($1), Self.theta) }
        let two = 1 + 1 / pow(2, Self.theta)
        eta = (1 - pow(2 / Double(count), 1 - Self.theta)) / (1 - two / zeta)
    }

    func rank(_ random: inout SplitMix64) -> Int {
        let fraction = random.fraction()
        let scaled = fraction * zeta
        if scaled < 1 { return 0 }
        if scaled < 1 + pow(0.5, Self.theta) { return min(1, count - 1) }
        return min(count - 1, Int(Double(count) * pow(eta * fraction - eta + 1, 1 / (1 - Self.theta))))
    }
}

/// The generator of all choices; fixed, so that every run on every platform makes the same ones.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word &>> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word &>> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word &>> 31
    }

    /// From 0 up to, and without, 1.
    mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }
}
