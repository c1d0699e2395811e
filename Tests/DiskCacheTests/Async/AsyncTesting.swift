import DiskCache
import DiskCacheEngine
import Synchronization
import TestSupport
import Testing

/// Waits until `condition` holds, without blocking a thread of the cooperative pool; records an issue after a minute in which it was looked
/// at often. Tests that block may keep that pool's few threads for minutes: then this waits in line as whoever is to make the condition
/// hold does, and a clock alone would say that time is up before that one had a turn.
func eventually(
    _ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let begun = monotonicNanoseconds()
    var looks = 0
    while try !condition() {
        looks += 1
        guard looks < 10_000 || monotonicNanoseconds() - begun < 60_000_000_000 else {
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
