import Synchronization

/// A value and the lock that guards it, for threads of one process: what `Synchronization.Mutex` is, and right in the child of a fork.
///
/// `Mutex` on Linux names its owner by the kernel's number for the thread, which the runtime remembers from before a fork. In a child the
/// thread that forked goes by its old number, so the first wait for it ends the process. A child that uses a store has a maintenance
/// thread, and so waits now and then.
///
/// The word is 0 free, 1 taken, 2 taken and perhaps waited for (Drepper, *Futexes Are Tricky*, 2004, the second mutex). Not fair, not
/// recursive. Held for moments only; nothing that may wait runs inside. What another thread held at the fork stays taken in the child.
package struct Guarded<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // The kernel wants an address that stays.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let value: UnsafeMutablePointer<Value>

    private static var free: UInt32 { 0 }
    private static var taken: UInt32 { 1 }
    private static var awaited: UInt32 { 2 }
    /// Looks at a taken lock before its waiter goes to sleep: it is let go of in less than that, as a rule.
    private static var looks: Int { 100 }

    package init(_ value: consuming sending Value) {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(Self.free))
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        word.deinitialize(count: 1)
        word.deallocate()
    }

    /// Runs `body` with the value, while no other thread does.
    @inline(__always)
    package borrowing func withLock<Result: ~Copyable, E: Error>(
        _ body: (inout sending Value) throws(E) -> sending Result
    ) throws(E) -> sending Result {
        if !word.pointee.compareExchange(expected: Self.free, desired: Self.taken, ordering: .acquiring).exchanged {
            wait()
        }
        defer {
            if word.pointee.exchange(Self.free, ordering: .releasing) == Self.awaited { wakeOne() }
        }
        return try body(&value.pointee)
    }

    /// Runs `body` with the value if no other thread has it at this moment; nil: one has.
    package borrowing func withLockIfAvailable<Result, E: Error>(
        _ body: (inout sending Value) throws(E) -> sending Result
    ) throws(E) -> sending Result? {
        guard word.pointee.compareExchange(expected: Self.free, desired: Self.taken, ordering: .acquiring).exchanged
        else { return nil }
        defer {
            if word.pointee.exchange(Self.free, ordering: .releasing) == Self.awaited { wakeOne() }
        }
        return try body(&value.pointee)
    }

    @inline(never)
    private borrowing func wait() {
        for _ in 0..<Self.looks {
            if word.pointee.load(ordering: .relaxed) == Self.free,
                word.pointee.compareExchange(expected: Self.free, desired: Self.taken, ordering: .acquiring).exchanged
            {
                return
            }
        }
        while word.pointee.exchange(Self.awaited, ordering: .acquiring) != Self.free {
            SystemCalls.wait(
                on: UnsafeMutableRawPointer(word), while: Self.awaited, nanoseconds: 3_600_000_000_000, shared: false)
        }
    }

    @inline(never)
    private borrowing func wakeOne() { SystemCalls.wake(UnsafeMutableRawPointer(word), count: 1, shared: false) }
}
