import TestSupport

@testable import DiskCacheCore

struct CollectionMismatch: Error, CustomStringConvertible {
    let description: String
}

/// What a run of random operations has done, and its random numbers.
struct CollectionRun {
    var random: ReplayableRandom
    private(set) var done = 0
    private(set) var history: [String] = []

    init(seed: UInt64) { random = ReplayableRandom(seed: seed) }

    mutating func note(_ text: String) {
        history.append(text)
        if history.count > 25 { history.removeFirst() }
        done += 1
    }

    mutating func oneIn(_ count: Int) -> Bool { pick(count) == 0 }
    mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
}

func expectSame<T: Equatable>(_ found: T, _ expected: T, _ what: String) throws {
    if found != expected { throw CollectionMismatch(description: "\(what): \(found), expected \(expected)") }
}
