/// Sleeping until something is pushed or committed; see `SleepingPlace`.
extension Store {
    /// Wakes all who wait for an item.
    @inline(__always) func wakePullers() { block.pulls.wake() }

    /// Wakes all who follow the log. The write lock was let go of since the commit word was stored.
    @inline(__always)
    func wakeFollowers() {
        #if !arch(x86_64)
            // Not before the commit word is seen. On x86 every atomic exchange is a full fence.
            SharedMemory.fullFence()
        #endif
        block.follows.wake()
    }

    /// A thread that is about to sleep until something happens. It keeps the store's memory, though not the store, open.
    public struct Sleeper: Sendable {
        private let store: Store
        private let place: SleepingPlace
        private let signal: UInt32
        private static let longestSleep: UInt64 = 1_000_000_000

        init(_ store: Store, in place: SleepingPlace) {
            self.store = store
            self.place = place
            // First of all: the signal of a waker that took another sleeper's word must not pass for one that came before.
            signal = place.signal.acquire()
            place.sleepers.release(1)
            SharedMemory.fullFence()
        }

        /// Sleeps until it happened since this was made, `nanoseconds` or a second at most.
        public func sleep(nanoseconds: UInt64) {
            let word = place.signal
            let begun = SystemCalls.monotonicClock()
            let longest = min(nanoseconds, Self.longestSleep)
            while word.acquire() == signal {
                let passed = SystemCalls.monotonicClock() &- begun
                if passed >= longest { return }
                SystemCalls.wait(
                    on: UnsafeMutableRawPointer(word.address), while: signal, nanoseconds: longest &- passed,
                    shared: true)
            }
        }
    }

    /// Says that the caller is going to sleep until something is pushed; it looks once more, under the lock, before it does.
    public func puller() -> Sleeper { Sleeper(self, in: block.pulls) }

    /// Says that the caller is going to sleep until something is committed; it looks once more before it does.
    public func follower() -> Sleeper { Sleeper(self, in: block.follows) }
}

/// CLOCK_MONOTONIC in nanoseconds.
public func monotonicNanoseconds() -> UInt64 { SystemCalls.monotonicClock() }

/// A number of the calling thread that no other living thread of the process has.
public func threadIdentity() -> UInt { SystemCalls.threadID() }
