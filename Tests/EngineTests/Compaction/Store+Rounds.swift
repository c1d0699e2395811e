import TestSupport

@testable import DiskCacheEngine

extension Store {
    /// Begins another segment, as compaction on demand does.
    func beginSegment() throws {
        try write(timeout: StoreClient.timeout) { () throws(EngineError) in
            try log.beginSegment(head: head, settings: counters.settings)
        }
    }

    /// One round of compaction and what it gives back; how many bytes it gained. `copying`: how many it may copy before it ends.
    func compactOneRound(copying: Int) throws -> Int? {
        var gained: Int?
        let isDone = try withCompactionLock(waiting: StoreClient.timeout, StoreClient.timeout) {
            () throws(EngineError) in
            gained = try compactHead(
                freeing: 1, copying: copying, below: .max, evenIfNeeded: false, timeout: StoreClient.timeout)
            try dropDead()
        }
        return isDone ? gained : nil
    }
}
