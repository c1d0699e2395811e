@testable import DiskCacheEngine

/// Threads of their own for tests that block.
enum TestThreads {
    /// Runs `body` on `count` threads at once, and returns when all are done.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let group = Group()
        for index in 0..<count { group.start { body(index) } }
        group.join()
    }

    /// A time on the monotonic clock, so many milliseconds from now.
    static func deadline(_ milliseconds: UInt64) -> UInt64 { SystemCalls.monotonicClock() + milliseconds * 1_000_000 }

    /// Threads that are waited for together.
    final class Group: Sendable {
        private let running = ParkingWord(0)

        func start(_ body: @escaping @Sendable () -> Void) {
            running.add(1)
            do {
                try SystemCalls.startThread { [running] in
                    body()
                    running.add(.max)
                    running.wake()
                }
            } catch {
                fatalError("\(error)")
            }
        }

        func join() {
            while true {
                let left = running.load()
                if left == 0 { return }
                running.wait(while: left, nanoseconds: 1_000_000_000)
            }
        }
    }
}
