import Synchronization

/// A word that threads of this process wait on: an atomic at an address that stays, as the kernel wants it.
///
/// Waiting may end early and for no reason; whoever waits looks at the word again, in a loop.
/// Nothing here survives a fork but the value: those who waited are gone in the child.
package final class ParkingWord: @unchecked Sendable {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    /// A word of its own.
    package init(_ value: UInt32) {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(value))
    }

    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }

    /// The value.
    package func load() -> UInt32 { word.pointee.load(ordering: .sequentiallyConsistent) }

    /// Stores a value.
    package func store(_ value: UInt32) { word.pointee.store(value, ordering: .sequentiallyConsistent) }

    /// Stores a value; the one before.
    package func exchange(_ value: UInt32) -> UInt32 { word.pointee.exchange(value, ordering: .sequentiallyConsistent) }

    /// Adds, wrapping around.
    package func add(_ value: UInt32) { word.pointee.wrappingAdd(value, ordering: .sequentiallyConsistent) }

    /// Stores `new` if the word holds `old`; whether it did.
    package func replace(_ old: UInt32, with new: UInt32) -> Bool {
        word.pointee.compareExchange(expected: old, desired: new, ordering: .sequentiallyConsistent).exchanged
    }

    /// Sleeps while the word is `value`, at most so long.
    package func wait(while value: UInt32, nanoseconds: UInt64) {
        SystemCalls.wait(on: UnsafeMutableRawPointer(word), while: value, nanoseconds: nanoseconds, shared: false)
    }

    /// Wakes everybody who waits.
    package func wake() { SystemCalls.wake(UnsafeMutableRawPointer(word), count: Int32.max, shared: false) }
}
