import Testing

@testable import DiskCacheCore

/// `transact`: all or nothing, nested, with values in files.
@Suite struct TransactionTests {
    struct Stop: Error {}

    @Test func assignmentsArePartOfIt() throws {
        let cache = try Cache()
        try cache.set("a", 10, tag: "t")
        try cache.transact { transaction in
            transaction["a", default: 0] -= 3
            transaction["b", default: 0] += 3
            transaction["c"] = "text"
            let (text, number) = (transaction["c", as: String.self], try transaction.value(forKey: "a", as: Int.self))
            #expect(text == "text" && number == 7)
        }
        #expect(try cache.get("a", as: Int.self) == 7)
        #expect(try cache.entry("a", as: Int.self)?.tag == "t")
        #expect(try cache.get("b", as: Int.self) == 3)
        try cache.transact { $0["c"] = String?.none }
        #expect(try !cache.contains("c"))
    }

    @Test func afterAnErrorAllIsAsBefore() throws {
        let cache = try Cache()
        let large = [UInt8](repeating: 7, count: 100_000)
        try cache.set("file", large)
        try cache.set("n", 1)
        #expect(throws: Stop.self) {
            try cache.transact {
                try cache.set("file", [1, 2, 3] as [UInt8])
                try cache.set("new", large)
                try cache.delete("n")
                _ = try cache.pop("file", as: [UInt8].self)
                throw Stop()
            }
        }
        try cache.sync()
        #expect(try cache.get("file", as: [UInt8].self) == large)
        #expect(try cache.get("n", as: Int.self) == 1)
        #expect(try !cache.contains("new"))
        #expect(try cache.count == 2)
        #expect(try cache.check().isEmpty)
    }

    @Test func anInnerFailureUndoesTheInnerWritesAlone() throws {
        let cache = try Cache()
        try cache.set("kept", 1)
        try cache.transact {
            try cache.set("outer", 1)
            do {
                try cache.transact { transaction in
                    transaction["kept"] = 2
                    transaction["outer"] = 2
                    transaction["inner"] = 2
                    throw Stop()
                }
            } catch is Stop {}
            #expect(try cache.get("outer", as: Int.self) == 1)
            #expect(try cache.get("kept", as: Int.self) == 1)
            try cache.set("after", 3)
        }
        #expect(try cache.get("outer", as: Int.self) == 1)
        #expect(try cache.get("after", as: Int.self) == 3)
        #expect(try !cache.contains("inner"))
        #expect(try cache.check().isEmpty)
    }

    @Test func aFailedAssignmentDoesNotCommit() throws {
        let cache = try Cache()
        try cache.set("text", "no number")
        #expect(throws: CacheError.self) {
            try cache.transact { transaction in
                transaction["a"] = 1
                transaction[Double.nan] = 1
                transaction["b"] = 2
            }
        }
        #expect(try cache.count == 1)
        #expect(throws: CacheError.self) {
            try cache.transact { transaction in
                transaction["a"] = 1
                let number = transaction["text", as: Int.self]
                #expect(number == nil)
            }
        }
        #expect(try cache.count == 1)
    }

    @Test func aSecondCacheOnTheDirectoryJoins() throws {
        let first = try Cache()
        let second = try Cache(directory: first.directory)
        #expect(throws: Stop.self) {
            try first.transact {
                try first.set("a", 1)
                try second.set("b", 2)
                try second.transact { $0["c"] = 3 }
                throw Stop()
            }
        }
        #expect(try first.count == 0)
        try first.transact { try second.set("b", 2) }
        #expect(try first.get("b", as: Int.self) == 2)
    }

    @Test func othersSeeAllOrNothing() async throws {
        let cache = try Cache()
        try cache.setMany([("a", 500), ("b", 500)])
        let rounds = 2000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for seed in 1...2 {
                group.addTask {
                    for round in 0..<rounds {
                        let amount = round % 7 * seed
                        try cache.transact { transaction in
                            transaction["a", default: 0] -= amount
                            transaction["b", default: 0] += amount
                        }
                    }
                }
            }
            group.addTask {
                for _ in 0..<rounds {
                    let sum = try cache.snapshot { snapshot in
                        try snapshot.get("a", default: 0) + snapshot.get("b", default: 0)
                    }
                    #expect(sum == 1000)
                }
            }
            try await group.waitForAll()
        }
        let moved = (0..<rounds).reduce(0) { $0 + $1 % 7 * 3 }
        #expect(try cache.get("b", as: Int.self) == 500 + moved)
    }
}
