import Testing

@testable import DiskCacheCore

/// `body` must throw a `CacheError` of this code.
func expectError<R>(
    _ code: CacheError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> R
) {
    do {
        _ = try body()
        Issue.record("nothing thrown instead of \(code)", sourceLocation: sourceLocation)
    } catch {
        #expect(code ~= error, "\(error)", sourceLocation: sourceLocation)
    }
}
