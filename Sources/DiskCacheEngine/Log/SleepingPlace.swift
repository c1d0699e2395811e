/// Waiting until something happens, in any thread or process (DESIGN 7.2): a pair of words in `meta` for each thing to wait for.
///
/// A sleeper reads `signal`, stores 1 into `sleepers`, looks once more whether it has happened, and sleeps until the signal isn't what it
/// read. Whoever has made it happen loads `sleepers`; at 1 it exchanges it with 0, counts the signal up and wakes all. The words hold
/// no fact: a sleeper that was killed costs one needless wake-up, and a waker that was killed before it could wake anybody costs the
/// sleepers a second, for that is how long they sleep at most.
///
/// The signal is read before the 1 is stored. Read after it, it could be one that a waker counted up that had exchanged this very 1 with
/// 0 for something older: the sleeper would find nothing, and sleep on without a 1 that tells the next waker of it.
///
/// **None is missed** if one of the two sees the other: the look sees what happened, or the load the 1. Each stores before it loads, so
/// that wants a full fence on both sides, or a lock:
/// - *pullers* look **under the write lock**. Whoever holds the lock after the look sees the 1, and who held it before was seen by
///   the look.
/// - *followers* of the log look at the commit word, behind a fence. The committer's fence is the atomic exchange in which it lets go of the
///   thread queue, between its store of the word and its load of `sleepers`; on processors where that is none it has one more.
struct SleepingPlace: @unchecked Sendable {
    /// Grows when something happened while `sleepers` was 1.
    let signal: SharedHalf
    /// 1: somebody sleeps.
    let sleepers: SharedHalf

    /// Wakes all who sleep. The relaxed load is all that it costs when nobody does.
    @inline(__always)
    func wake() { if sleepers.relaxed() != 0 { wakeSleepers() } }

    @inline(never)
    private func wakeSleepers() {
        guard sleepers.exchange(0) != 0 else { return }
        FaultPoint.reach(.pushersSignalled)
        signal.add(1)
        SystemCalls.wake(UnsafeMutableRawPointer(signal.address), count: Int32.max, shared: true)
    }
}
