import DiskCache
import DiskCacheEngine
import Synchronization
import Testing

/// Waits until `condition` holds, without blocking a thread of the cooperative pool; records an issue after a minute.
func eventually(
    _ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let begun = monotonicNanoseconds()
    while try !condition() {
        // Other tests keep the runner's threads for minutes.
        guard monotonicNanoseconds() - begun < 600_000_000_000 else {
            Issue.record("the condition never held", sourceLocation: sourceLocation)
            return
        }
        try? await Task.sleep(for: .microseconds(200))
    }
}

/// Expects `body` to throw that its task was cancelled.
func expectCancelled<R>(
    _ body: () async throws -> R, sourceLocation: SourceLocation = #_sourceLocation
) async {
    do {
        _ = try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch {
        #expect((error as? CacheError)?.code == .cancelled, "\(error)", sourceLocation: sourceLocation)
    }
}

/// A number that tasks and threads share.
final class Counter: Sendable {
    private let number = Atomic<Int>(0)

    func add(_ delta: Int = 1) { number.add(delta, ordering: .sequentiallyConsistent) }

    var value: Int { number.load(ordering: .sequentiallyConsistent) }
}

/// Expects `body` to throw a `CacheError` of a code.
func expectCode<R>(
    _ code: CacheError.Code, _ body: () async throws -> R, sourceLocation: SourceLocation = #_sourceLocation
) async {
    do {
        _ = try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch {
        #expect((error as? CacheError)?.code == code, "\(error)", sourceLocation: sourceLocation)
    }
}
