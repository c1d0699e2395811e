/// The named instants at which a test may stop, kill or fail the engine. In release builds `reach` is nothing.
///
/// A point is reached *between* two effects that others can see. Each name tells what has just happened.
package enum FaultPoint: String, CaseIterable, Sendable {
    case lockTaken, settleBegun, settleFinished, transactionRedone, undoSlot, undoSlots, voidWritten
    case recordHalfCopied, recordCopied, slotStored, coveredStored, countersWritten, committed
    case segmentCreated, segmentHeaderWritten, segmentMapped, nextFilled, nextPlaced
    case splitFilled, splitIntentStored, splitEntryStored, splitEntriesStored, splitSpareStored, splitDone
    case directoryFilled, directoryDoubled
    case metaWritten, metaRenamed, indexCreated, indexFilled, indexPublished
    case rebuildScanned, rebuildSegmentWritten, sealWritten, sealCleared, sealBelieved
    case segmentUnlinked, segmentsUnlinked
    case queueItemsWritten, pushersSignalled
    case valueFileWritten, valueFileRenamed, deadFileUnlinked, syncBegun, syncDone, storedAnew, poisonLifted,
        hintWritten
    case stampsCreated, stampsWritten, stampsCarried
    case cullBegun, victimRemoved, copied, headMoved, floorRaised, slotsVacated
    case treesGrown, treesPageWritten, treesRootHalfWritten, treesRootWritten, treesRootPublished
    case treesCreated, treesInstalled, treesMerged
    case treesPagesSynced, treesSyncedRootWritten, treesSynced
    case backupBegun, backupSegmentPlaced, backupFilePlaced, backupSynced, backupLogNamed, backupMetaNamed, backupPlaced

    #if FAILPOINTS
        /// Called at each point, on the thread that reaches it.
        package nonisolated(unsafe) static var handler: (@Sendable (FaultPoint) -> Void)?
    #endif

    @inline(__always) static func reach(_ point: FaultPoint) {
        #if FAILPOINTS
            handler?(point)
        #endif
    }

    /// Installs a handler that kills the process with SIGKILL at the `hit`th time that `point` is reached (1 is the first).
    /// False where the build holds no fault points.
    package static func killAt(_ point: FaultPoint, hit: Int) -> Bool {
        #if FAILPOINTS
            let counter = FaultCounter(hit)
            handler = { if $0 == point && counter.countDown() { SystemCalls.killSelf() } }
            return true
        #else
            return false
        #endif
    }
}

#if FAILPOINTS
    import Synchronization

    private final class FaultCounter: Sendable {
        private let left: Atomic<Int>
        init(_ hits: Int) { left = Atomic(hits) }
        /// True at the last count.
        func countDown() -> Bool { left.wrappingSubtract(1, ordering: .relaxed).newValue == 0 }
    }
#endif
