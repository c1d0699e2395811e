package import DiskCacheEngine

/// Where the named locks of a cache lie: in its directory, so that every process that opens it shares them.
///
/// Recipes make locks of it: see ``Lock``.
public struct NamedLocks: Sendable {
    private let handle: StoreHandle

    init(_ handle: StoreHandle) { self.handle = handle }

    /// A lock with one slot or several, by a name of its kind.
    package func handle(_ kind: LockName.Kind, _ name: some Sequence<UInt8>, slots: Int = 1) -> NamedLockHandle {
        NamedLockHandle(handle, LockName(kind, name), slots: slots)
    }
}

extension Cache {
    /// The locks that lie in the cache's directory.
    public var locks: NamedLocks { NamedLocks(handle) }
}
