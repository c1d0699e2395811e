import DiskCacheEngine

/// Lends an object that isn't made for several threads to one of them at a time.
final class Exclusive<Value>: @unchecked Sendable {
    private let lock = Guarded(())
    private let value: Value

    /// The caller keeps no other way to `value`.
    init(_ value: Value) { self.value = value }

    func use<R>(_ body: (Value) throws -> R) rethrows -> R {
        try lock.withLock { _ in try body(value) }
    }
}
