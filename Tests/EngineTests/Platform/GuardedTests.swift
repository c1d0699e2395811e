import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct GuardedTests {
    /// A sum that is right only if the lock excludes.
    private static func sum(_ threads: Int, _ rounds: Int) -> Int {
        let total = Guarded(0)
        let left = ParkingWord(UInt32(threads))
        for _ in 0..<threads {
            do throws(SystemError) {
                try SystemCalls.startThread {
                    for round in 0..<rounds {
                        total.withLock { total in
                            let seen = total
                            // Now and then somebody else comes while the lock is held.
                            if round % 64 == 0 { SystemCalls.yieldThread() }
                            total = seen + 1
                        }
                    }
                    left.add(.max)
                }
            } catch {
                return -1
            }
        }
        while left.load() > 0 { SystemCalls.yieldThread() }
        return total.withLock { $0 }
    }

    @Test func isHadOnlyIfItIsFree() {
        let number = Guarded(1)
        #expect(number.withLockIfAvailable { $0 += 1 } != nil)
        number.withLock { own in
            own += 1
            #expect(number.withLockIfAvailable { _ in 1 } == nil)
        }
        #expect(number.withLockIfAvailable { $0 } == 3)
    }

    @Test func excludes() {
        #expect(Self.sum(6, 20_000) == 120_000)
    }

    /// In a child the thread that forked has another number; whoever waits for it there gets the lock all the same (P27).
    @Test func excludesInAChild() async {
        await #expect(processExitsWith: .success) {
            #expect(Self.sum(2, 10) == 20)
            let child = try TestFork { Self.sum(3, 20_000) == 60_000 ? 1 : 2 }
            defer { child.finish() }
            #expect(child.told() == 1)
        }
    }

    @Test func throwsWhatTheBodyThrowsAndIsFreeThen() {
        struct Thrown: Error {}
        let value = Guarded([1])
        #expect(throws: Thrown.self) {
            try value.withLock { (value: inout [Int]) throws(Thrown) -> Void in
                value.append(2)
                throw Thrown()
            }
        }
        #expect(value.withLock { $0 } == [1, 2])
    }

    @Test func releasesItsValue() {
        final class Witness: Sendable {
            let gone: ParkingWord
            init(_ gone: ParkingWord) { self.gone = gone }
            deinit { gone.store(1) }
        }
        let gone = ParkingWord(0)
        do {
            let value = Guarded<Witness?>(Witness(gone))
            #expect(value.withLock { $0 != nil })
            #expect(gone.load() == 0)
        }
        #expect(gone.load() == 1)
    }
}
