/// Waiting until something is pushed, in any thread or process (DESIGN 7.2).
///
/// A sleeper stores 1 into `pullers`, reads `pushSignal`, looks at the queue once more **under the write lock**, and sleeps until the
/// signal isn't what it read. Whoever has committed an item loads `pullers`; at 1 it exchanges it with 0, counts the signal up and
/// wakes all. None is missed: whoever holds the lock after the sleeper's look sees its 1, and who held it before was seen by the
/// look. The words hold no fact: a sleeper that was killed costs the next push one needless wake-up, and a pusher that was killed
/// before it could wake anybody costs the sleepers a second, for that is how long they sleep at most.
extension Store {
    /// Wakes all who wait for an item. The relaxed load is all that a push pays when nobody does.
    @inline(__always)
    func wakePullers() {
        if block.pullers.relaxed() != 0 { wakeSleepingPullers() }
    }

    @inline(never)
    private func wakeSleepingPullers() {
        guard block.pullers.exchange(0) != 0 else { return }
        FaultPoint.reach(.pushersSignalled)
        block.pushSignal.add(1)
        SystemCalls.wake(UnsafeMutableRawPointer(block.pushSignal.address), count: Int32.max, shared: true)
    }

    /// A thread that is about to sleep until something is pushed. It keeps the store's memory, though not the store, open.
    public struct Puller: Sendable {
        private let store: Store
        private let signal: UInt32
        private static let longestSleep: UInt64 = 1_000_000_000

        init(_ store: Store) {
            self.store = store
            store.block.pullers.release(1)
            signal = store.block.pushSignal.acquire()
        }

        /// Sleeps until something was pushed since this was made, `nanoseconds` or a second at most.
        public func sleep(nanoseconds: UInt64) {
            let word = store.block.pushSignal
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

    /// Says that the caller is going to sleep; it looks once more, under the lock, before it does.
    public func puller() -> Puller { Puller(self) }
}

/// CLOCK_MONOTONIC in nanoseconds.
public func monotonicNanoseconds() -> UInt64 { SystemCalls.monotonicClock() }
