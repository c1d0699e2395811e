import TestSupport
import Testing

@testable import DiskCacheEngine

/// Threads that are waited for together; what they throw is an issue.
final class TestThreads: Sendable {
    private let running = ParkingWord(0)

    func start(_ body: @escaping @Sendable () throws -> Void) {
        running.add(1)
        do {
            try SystemCalls.startThread { [running] in
                do { try body() } catch { Issue.record("a thread threw \(error)") }
                running.add(.max)
                running.wake()
            }
        } catch {
            Issue.record("no thread is to be had: \(error)")
        }
    }

    /// Runs `body` on `count` threads at once, and returns when all are done.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) {
        let threads = TestThreads()
        for index in 0..<count { threads.start { try body(index) } }
        threads.join()
    }

    func join() {
        while case let left = running.load(), left != 0 { running.wait(while: left, nanoseconds: 100_000_000) }
    }
}
