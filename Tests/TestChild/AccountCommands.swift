import DiskCache
import TestSupport

/// Accounts whose sum never changes: what transactions and snapshots of several processes are held against.
enum Accounts {
    static let count = 12
    static let start = 1000
    static var sum: Int { count * start }

    struct Account: Codable, Equatable {
        var balance = Accounts.start
        /// Goes up with every change.
        var version = 0
        /// Of any length, so that some lie in files of their own.
        var padding: [UInt8] = []
    }

    static func key(_ number: Int) -> String { "account \(number)" }

    static func open(_ arguments: Arguments) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.minFileSize = 300
        configuration.syncInterval = .milliseconds(20)
        return try Cache(directory: arguments.text("directory"), configuration: configuration)
    }

    struct Refused: Error {}
}

/// `transfer`: moves money until it is released or killed; some transfers are refused half-way, some fail inside and are caught.
enum TransferCommand {
    static func run(_ arguments: Arguments) throws {
        let cache = try Accounts.open(arguments)
        var random = ReplayableRandom(seed: UInt64(arguments.number("seed")))
        TestChild.say("ready")
        var done = 0
        while !TestChild.isReleased() {
            for _ in 0..<10 {
                let (from, to) = (
                    Int.random(in: 0..<Accounts.count, using: &random),
                    Int.random(in: 0..<Accounts.count, using: &random)
                )
                let amount = Int.random(in: 0..<50, using: &random)
                let kind = Int.random(in: 0..<10, using: &random)
                let length =
                    Int.random(in: 0..<4, using: &random) == 0
                    ? 200 + Int.random(in: 0..<2000, using: &random) : Int.random(in: 0..<60, using: &random)
                do {
                    try cache.transact {
                        try change(cache, from, by: -amount, length)
                        if kind == 0 { throw Accounts.Refused() }
                        if kind == 1 {
                            do {
                                try cache.transact {
                                    try change(cache, to, by: 7, length)
                                    try cache.delete(Accounts.key(from))
                                    throw Accounts.Refused()
                                }
                            } catch is Accounts.Refused {}
                        }
                        try change(cache, to, by: amount, length)
                    }
                    done += 1
                } catch is Accounts.Refused {}
            }
        }
        TestChild.say("\(done)")
        try cache.close()
    }

    private static func change(_ cache: Cache, _ number: Int, by amount: Int, _ length: Int) throws {
        try cache.update(Accounts.key(number), default: Accounts.Account()) { account in
            account.balance += amount
            account.version += 1
            account.padding = [UInt8](repeating: UInt8(truncatingIfNeeded: account.version), count: length)
        }
    }
}

/// `audit`: adds up in snapshots until it is released, and says what it found wrong, or how often all was well. `clears=1`: others clear,
/// so that versions begin again.
enum AuditCommand {
    static func run(_ arguments: Arguments) throws {
        let cache = try Accounts.open(arguments)
        var versions = [Int](repeating: 0, count: Accounts.count)
        let clears = arguments.number("clears") == 1
        var (right, expired) = (0, 0)
        TestChild.say("ready")
        while !TestChild.isReleased() {
            do {
                try cache.snapshot { snapshot in
                    var sum = 0
                    for number in 0..<Accounts.count {
                        let account = try snapshot.get(Accounts.key(number), default: Accounts.Account())
                        sum += account.balance
                        let padding = UInt8(truncatingIfNeeded: account.version)
                        if account.padding.contains(where: { $0 != padding }) { throw Wrong("a mixed value") }
                        if account.version < versions[number], !clears {
                            throw Wrong("version \(account.version) after a later one")
                        }
                        versions[number] = account.version
                    }
                    if sum != Accounts.sum { throw Wrong("the sum is \(sum)") }
                }
                right += 1
            } catch let error as CacheError where error.code == .snapshotExpired {
                expired += 1
            }
        }
        TestChild.say("\(right) \(expired)")
        try cache.close()
    }

    struct Wrong: Error {
        let what: String
        init(_ what: String) { self.what = what }
    }
}
