/// Compaction when it is asked for.
extension Store {
    /// Gives back everything that is dead: in log, index, trees and value files. Returns when the old files are unlinked.
    ///
    /// What a snapshot still reads stays until that is over. Writers go on meanwhile, and what they do away with after the beginning isn't
    /// looked for. Throws `inTransaction` inside a transaction, `timeout` if another thread or process compacts for so long.
    public func compact(timeout: UInt64) throws(EngineError) {
        guard !lock.isHeldByThisThread else {
            throw EngineError(.inTransaction, "a store can't be compacted inside a transaction", path: path)
        }
        let isDone = try withCompactionLock(waiting: timeout, timeout) { () throws(EngineError) in
            try dropDead()
            if block.deadFiles.acquire() > block.synced.acquire() { try sync() }
            try unlinkSpared(evenIfNeeded: false)
            try compactLog(timeout: timeout)
            try compactViews(timeout: timeout)
            try sweepUnnamed()
            try dropNext(timeout)
        }
        guard isDone else { throw compactionTimedOut() }
    }

    /// Smaller files in place of index and trees that are mostly empty, if there is room for them beside the old ones.
    func compactViews(timeout: UInt64) throws(EngineError) {
        do throws(EngineError) {
            try shrinkIndexIfSparse(timeout: timeout)
            try compactTreesIfSparse(timeout: timeout)
        } catch {
            if error.code != .diskFull { throw error }
        }
    }

    /// Compacts up to the last segment that has more than a little garbage.
    private func compactLog(timeout: UInt64) throws(EngineError) {
        let (length, garbage) = try write(timeout: timeout) { () throws(EngineError) in
            (Int(clamping: log.tail &- max(head, log.window.start)), logGarbage)
        }
        guard garbage > max(length / 32, 4096) else { return }
        // What lies in the newest segment can go only if that isn't the newest any more.
        let begun = try write(timeout: timeout) { () throws(EngineError) in
            do throws(EngineError) {
                try log.beginSegment(head: head, settings: counters.settings)
            } catch {
                // On a full disk what lies in the newest one has to stay.
                if error.code != .diskFull { throw error }
            }
            return log.activeFirst
        }
        var last: Position = 0
        for segment in log.segments where segment.first < begun {
            let bytes = min(segment.limit, begun) - segment.first
            if try liveBytes(of: segment) < Int(clamping: bytes - bytes / 16) { last = segment.limit }
        }
        var hasGained = false
        while block.read().head < last, block.floor.acquire() >= block.read().head, !isClosing {
            let room = try write(timeout: timeout) { () throws(EngineError) in max(segmentLength, length / 32) }
            do throws(EngineError) {
                guard
                    try compactHead(
                        freeing: .max, copying: room, below: min(last, begun), evenIfNeeded: false, timeout: timeout,
                        grace: 0) != nil
                else { return }
            } catch {
                // What was given back before is something.
                if error.code == .diskFull, hasGained { return }
                throw error
            }
            hasGained = true
            try dropDead()
        }
    }

    /// Bytes of a segment's records that their keys still have, as far as a reader can tell.
    private func liveBytes(of segment: Segment) throws(EngineError) -> Int {
        var live = 0
        var position = max(segment.firstRecord, block.read().head)
        while position < segment.limit, case .record(let record) = try log.record(at: position) {
            if mayCount(record) { live += record.size }
            position = record.end
        }
        return live
    }
}
