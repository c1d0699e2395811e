/// What the open transaction has done so far: what undo needs, and the counters as they will be.
struct TransactionState {
    /// A slot that was stored: which record it names now, and what it named before.
    struct Change {
        var record: Position
        var hash: UInt64
        /// The slot before; a vacant one if the key had none.
        var before: UInt64
    }
    /// Whether it has stored an item of a queue, for which somebody may be waiting.
    var hasPushed = false
    /// How deep `begin` is nested; 0: no transaction.
    var depth = 0
    /// Where its first record lies.
    var first: Position = 0
    var changes: [Change] = []
    var operations: UInt32 = 0
    /// Whether the last record appended ends the transaction.
    var isClosed = false
    /// The row that was found last, with its key's hash and slot: who looks at a row and then removes it needn't look for it again.
    /// Forgotten when slots may have moved.
    var found: (position: Position, hash: UInt64, place: HashIndex.Place)?
    /// Bytes that the rows are accounted with that it wrote: they can't be culled for its own sake.
    var ownBytes: UInt64 = 0
    /// The counters and the head at its beginning, for undo.
    var countersBefore = CommitBlock.Counters()
    var headBefore: Position = 0
    /// Files that its records name, placed or about to be; whether it replaced files of others, and which of its own.
    var newFiles: [ValueFileName] = []
    var replacedFiles: UInt64 = 0
    /// Bytes of the files that it replaced.
    var replacedBytes: UInt64 = 0
    /// Of the new files, those that a later record of the same transaction replaced: nobody else ever sees them.
    var droppedFiles: [ValueFileName] = []

    /// What a nested level goes back to if it fails while the outer ones go on.
    struct Savepoint {
        var tail: Position
        var changes: Int
        var operations: UInt32
        var counters: CommitBlock.Counters
        var head: Position
        var newFiles: Int
        var droppedFiles: Int
        var replacedFiles: UInt64
        var replacedBytes: UInt64
        /// Of the pending queues and their changes.
        var queues: Int
        var queueChanges: Int
        var ownBytes: UInt64
    }
    /// One for each nested level.
    var savepoints: [Savepoint] = []
    /// A nested level that failed could not be taken back: the whole must not be committed.
    var failure: EngineError?
}
