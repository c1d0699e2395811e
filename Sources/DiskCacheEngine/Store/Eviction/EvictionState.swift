import Synchronization

/// What the process remembers for eviction. Everything but what is marked *any thread* belongs to the holder of the write lock.
final class EvictionState: @unchecked Sendable {
    /// Bytes of rows that the store may hold; `.max`: as many as come.
    var capacity = UInt64.max
    /// Whether rows have stamps.
    var keepsStamps = false
    /// Bytes that a row is accounted with beside its record, its file and its slot: the tombstone that it leaves in the log when it
    /// goes, and its stamp. Without the first a store of small rows would be so full that compaction copies most of what it reads.
    var rowBytes: UInt64 { keepsStamps ? 64 : 40 }
    var policy = Eviction.leastRecentlyStored

    /// When the log reaches this, it is time to look at what the store takes on disk.
    var checkpoint: Position = 0
    /// When so many bytes are dead, it is time to look whether the log is to be compacted.
    var deadCheckpoint: UInt64 = 0
    /// The lowest segment there was when so many bytes of segments had been unlinked; `.max`: not known. *Any thread* reads the second.
    var lowest: Position = 0
    let unlinked = Atomic<UInt64>(.max)
    /// Bytes of value files written since the last look.
    var fileBytes: UInt64 = 0
    /// What the present owner of the lock does when it has let go, since the store takes too much: nanoseconds that it waits for
    /// compaction; `makesRoom`: it compacts itself.
    var toll: UInt64 = 0
    /// What writers owe of such waits: they are done some at a time, since a short sleep is long, and concerns few writes so.
    var debt: UInt64 = 0
    static let makesRoom = UInt64.max

    /// *Any thread.* Pools that the maintenance thread has made, each taken by the first writer that needs one.
    let prepared = Guarded<[VictimPool?]>([VictimPool?](repeating: nil, count: Ranking.allCases.count))
    /// *Any thread.* Bits of the orders for which there is one.
    let ready = Atomic<UInt32>(0)
    /// *Any thread.* How many victims a pool has at least.
    let smallestPool = Atomic<Int>(4096)
    /// *Any thread.* Bits of the orders for which it shall make one.
    let wanted = Atomic<UInt32>(0)
    /// *Any thread.* The eviction's task on the process's worker.
    let task = Guarded<Worker.Token?>(nil)
    /// *Any thread.* One thread of the process makes room at a time.
    let reclaiming = ThreadQueue()
    /// *Any thread.* Whether the worker shall make room.
    let wantsReclaiming = Atomic<Bool>(false)
    /// *Any thread.* Bytes of segments that go as soon as the round of compaction is synced that is under way here.
    let promised = Atomic<Int>(0)
    /// *Any thread.* Until when writers don't wait for compaction, since a snapshot holds it up: nanoseconds of the monotonic clock.
    let heldUpUntil = Atomic<UInt64>(0)
    /// No slot names what lies below, as far as this process has seen to it.
    let vacated = Atomic<Position>(0)
    /// *Any thread.* The capacity as last known: what can't fit is refused before its file is written.
    let largestRow = Atomic<UInt64>(.max)

    /// Forgets the pools that the maintenance thread has made.
    func forgetPrepared() {
        prepared.withLock { prepared in
            for index in prepared.indices { prepared[index] = nil }
            ready.store(0, ordering: .relaxed)
        }
    }
}
