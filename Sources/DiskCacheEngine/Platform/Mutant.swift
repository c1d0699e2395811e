/// Defects that tests plant, to see that they are found: the mutants of the models of DESIGN 4 and 5, in the real code.
/// In release builds `isPlanted` is false and nothing is left of them.
package enum Mutant: CaseIterable, Sendable {
    /// The commit word is loaded after a slot (core.pml, SLOTFIRST).
    case slotFirst
    /// The commit word is loaded after a record (commit-undo-generation.pml, TLATE).
    case tailLate
    /// T passes what is undone before the slots go back (UNDOLATE).
    case undoLate
    /// Settling a whole transaction moves T alone (NOREPUT).
    case noReput
    /// What is undone gets no void record (core.pml, NOVOID).
    case noVoid
    /// The commit block isn't loaded again (block.pml, NORELOAD).
    case noReload
    /// A commit without records keeps T (SAMET).
    case sameTail
    /// Two writers don't exclude each other (SHARED).
    case shared
    /// "Below the head" is believed without another look at the commit word (head-word.pml without REREAD).
    case noReread
    /// The directory entry is loaded before T (move.pml, DIRFIRST).
    case directoryFirst
    /// A reader doesn't ask for the generation of the index (commit-undo-generation.pml, near SUPERSEDED).
    case superseded
    /// A miss is believed at once (hash-copysplit.pml, NORECHECK).
    case noRecheck
    /// The root isn't loaded again at a miss (NOROOT).
    case noRoot
    /// An entry is compared without its depth (NODEPTH).
    case noDepth
    /// Entry and root are loaded again before the slots (EARLY).
    case early
    /// The retired page is written before all entries are published (ZEROEARLY).
    case zeroEarly
    /// Repair copies again (RECOPY).
    case recopy
    /// Repair takes no notice of the intent (NOINTENT).
    case noIntent
    /// Pages are filled after the entries are published (FILLAFTER).
    case fillAfter
    /// The commit word is stored before the counters.
    case wordFirst
    /// A slot names its record before that is whole.
    case slotBeforeRecord
    /// An owner doesn't settle what the last one left.
    case noSettle
    /// A segment that a killed writer made and never named isn't looked for.
    case keepUnused
    /// Compaction copies what its slot doesn't name any more.
    case copiesReplaced
    /// Compaction copies what was cleared after it had looked.
    case copiesCleared
    /// A copy names no version before it.
    case copyWithoutPrevious
    /// The head passes a segment of which something wasn't copied.
    case headBeforeCopies
    /// Slots are vacated before *floor* says so.
    case vacatesBeforeFloor
    /// Slots of tombstones above the head are vacated.
    case dropsTombstones
    /// A writer goes by what its process has mapped: a slot below the head counts while its record is there.
    case byMapping
    /// A snapshot believes the first slot of its key.
    case firstSlot
    /// Segments are unlinked before the head record behind them is durable.
    case unlinksBeforeSync

    #if FAILPOINTS
        /// The one that is planted.
        package nonisolated(unsafe) static var planted: Mutant?
        /// Whether the calling thread is one that meets it: others test other things at the same time.
        package nonisolated(unsafe) static var isMetHere: @Sendable () -> Bool = { true }
    #endif

    @inline(__always) static func isPlanted(_ mutant: Mutant) -> Bool {
        #if FAILPOINTS
            planted == mutant && isMetHere()
        #else
            false
        #endif
    }
}
