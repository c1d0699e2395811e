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

    func join() {
        while case let left = running.load(), left != 0 { running.wait(while: left, nanoseconds: 100_000_000) }
    }
}

/// Waits until `condition` holds; false after a minute.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = monotonicSeconds() + 60
    while try !condition() {
        if monotonicSeconds() > deadline { return false }
        pass(microseconds: 200)
    }
    return true
}
