import Synchronization

/// What a recipe holds of a named lock: the lock of this process, found anew in a child of a fork and in a directory that was
/// made again.
package final class NamedLockHandle: Sendable {
    private let handle: StoreHandle
    private let name: LockName
    private let slots: Int
    /// Keeps the lock, and so its open files, between two uses.
    private let last = Atomic<UInt>(0)

    /// `slots`: how many may hold it at a time, the same in every process.
    package init(_ handle: StoreHandle, _ name: LockName, slots: Int) {
        self.handle = handle
        self.name = name
        self.slots = slots
    }

    deinit {
        guard let address = UnsafeRawPointer(bitPattern: last.load(ordering: .acquiring)) else { return }
        // A child leaves its parent's alone.
        let lock = Unmanaged<NamedLock>.fromOpaque(address)
        if lock._withUnsafeGuaranteedRef({ $0.isOwn }) { lock.release() }
    }

    /// Takes a slot if one is free and nobody in this process waits for one; nil: it isn't to be had now.
    package func tryAcquire() throws(EngineError) -> LockLease? { try lock().tryAcquire() }

    /// Takes a slot within `timeout` nanoseconds, first come first served in this process; throws `timeout`.
    package func acquire(timeout: UInt64) throws(EngineError) -> LockLease { try lock().acquire(timeout: timeout) }

    /// Throws `invalidSetting` if whoever made the lock gave it another number of slots.
    package func check() throws(EngineError) { try lock().check() }

    /// Whether the lock can be asked for without a look at the disk.
    package var isAtHand: Bool { handle.isOpen && ((try? lock().isAtHand) ?? false) }

    /// A place in the line that no thread waits in.
    package struct Place: Sendable {
        private let lock: NamedLock
        private let waiter: LockWaiter

        fileprivate init(_ lock: NamedLock, _ waiter: LockWaiter) {
            self.lock = lock
            self.waiter = waiter
        }

        /// Takes the place; what comes of it is told exactly once, unless it was cancelled before.
        package func take() { lock.enqueue(waiter) }

        /// Gives the place up. True, once: nothing was told, nor will be.
        package func cancel() -> Bool { lock.cancel(waiter) }
    }

    /// A place to be taken in the line, and what to call when the slot is had, or isn't to be had. Called on any thread; must not block.
    package func place(
        timeout: UInt64, _ notify: @escaping @Sendable (Result<LockLease, EngineError>) -> Void
    ) throws(EngineError) -> Place {
        Place(try lock(), LockWaiter(timeout: timeout, notify: notify))
    }

    /// The lock of this process.
    func lock() throws(EngineError) -> NamedLock {
        let (files, directory, status) = try handle.withStore { (store) throws(EngineError) in
            (store.environment.files, store.directory, store.status)
        }
        let key = NamedLockTable.Key(device: status.device, inode: status.inode, name: name)
        let lock = NamedLockTable.shared.lock(key) {
            NamedLock(files: files, store: directory, name: name, slots: slots)
        }
        guard lock.slotCount == slots else {
            throw EngineError(
                .invalidSetting, "the semaphore has a bound of \(lock.slotCount) in this process, not of \(slots)",
                path: lock.path)
        }
        let address = UInt(bitPattern: Unmanaged.passUnretained(lock).toOpaque())
        let found = last.load(ordering: .acquiring)
        if found != address {
            // What was there before stays where it is: another thread may be looking at it. It is a child's parent's, or the
            // lock of a directory that is gone.
            let kept = Unmanaged.passRetained(lock)
            if !last.compareExchange(expected: found, desired: address, ordering: .acquiringAndReleasing).exchanged {
                kept.release()
            }
        }
        return lock
    }
}

/// The named locks that somebody in this process uses.
final class NamedLockTable: Sendable {
    struct Key: Hashable {
        let device: UInt64
        let inode: UInt64
        let name: LockName
    }

    private struct Weak {
        weak var lock: NamedLock?
    }

    private let locks = Guarded<[Key: Weak]>([:])

    /// The table of this process.
    static var shared: NamedLockTable { perProcess.current }
    private static let perProcess = PerProcess { NamedLockTable() }

    func lock(_ key: Key, _ make: () -> NamedLock) -> NamedLock {
        locks.withLock { table in
            if let lock = table[key]?.lock { return lock }
            // Names come and go: what nobody uses any more is forgotten when the table has doubled.
            if table.count >= 64, table.count & (table.count - 1) == 0 { table = table.filter { $0.value.lock != nil } }
            let lock = make()
            table[key] = Weak(lock: lock)
            return lock
        }
    }
}
