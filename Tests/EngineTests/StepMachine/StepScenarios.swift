#if FAILPOINTS
    @testable import DiskCacheEngine

    /// The scenarios, each a small instance of one protocol of DESIGN 4, 5, 7.1 and 8.
    extension StepScenario {
        static let all: [StepScenario] = [
            overwrite, twoWriters, insertAndDelete, rollBack, killedTransaction, pair, splitUnderReader, splitKilled,
            twoSplits,
            doubling, splitRolledBack, splitByRecords, fullPage, clearAfterSet, clearKilled, blockReading, rollOver,
            clearAndMappings, clearBehindSnapshot, renewal,
            replacement, compaction, compactionUnderSnapshot, compactionUnsparing, compactionAfterClear, compactors,
            compactionOfOne, compactionBehindSnapshot,
        ]

        /// A reader sees the version before or the version after.
        static let overwrite = StepScenario(
            name: "overwrite", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.set(1), .set(1)], [.get(1), .get(1)]], kills: 1)

        /// Two writers with a kill in either, and in the settling after it.
        static let twoWriters = StepScenario(
            name: "two writers", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.set(1)], [.set(1), .set(2)], [.get(1), .get(2)]], kills: 2)

        static let insertAndDelete = StepScenario(
            name: "insert and delete", keys: [1, 3], setup: [.set(1)],
            actors: [[.set(3), .delete(1), .set(1)], [.get(3), .get(1)]], kills: 1)

        /// Undo in the process (commit-undo-generation.pml).
        static let rollBack = StepScenario(
            name: "roll back", keys: [1, 3], setup: [.set(1)],
            actors: [[.rollBack([.set(1), .set(3)]), .set(1)], [.get(1), .get(3)]], kills: 1)

        /// Undo by who settles (core.pml).
        static let killedTransaction = StepScenario(
            name: "killed transaction", keys: [1, 2, 3], setup: [.set(1), .set(2)],
            actors: [[.transaction([.set(1), .set(3), .set(1), .delete(2)])], [.set(2)], [.get(1), .get(3)]], kills: 2)

        /// Two keys become visible at one instant.
        static let pair = StepScenario(
            name: "pair", keys: [1, 3], setup: [.set(1)],
            actors: [[.transaction([.set(1), .set(3)])], [.get(1), .get(3), .get(1)], [.block]], kills: 1)

        /// `neighbour` stands before `low` in their bucket; six entries of the directory lead to their page's half.
        private static let splittable: [StepAction] = [
            .set(1), .set(2), .set(StepKeys.neighbour), .set(StepKeys.low), .set(StepKeys.high), .set(StepKeys.away),
            .transaction([.split(StepKeys.away), .split(StepKeys.away), .split(StepKeys.away)]),
        ]
        private static let splitKeys = [1, 2, StepKeys.neighbour, StepKeys.low, StepKeys.high, StepKeys.away]

        static let splitUnderReader = StepScenario(
            name: "split", keys: splitKeys, setup: splittable,
            actors: [
                [.transaction([.split(StepKeys.low), .set(StepKeys.low)])],
                [.get(StepKeys.low), .get(StepKeys.neighbour)],
            ], kills: 1, movesPages: true)

        /// Four entries to publish, a kill at each store, another one in the repair (hash-copysplit.pml).
        static let splitKilled = StepScenario(
            name: "split killed", keys: splitKeys, setup: splittable,
            actors: [
                [.transaction([.split(StepKeys.low)])], [.set(StepKeys.low)],
                [.get(StepKeys.low), .get(StepKeys.neighbour)],
            ],
            kills: 2, movesPages: true)

        /// The retired page is written by the next split while a reader is still in it: what it looks for moves within its line.
        static let twoSplits = StepScenario(
            name: "two splits", keys: splitKeys, setup: splittable,
            actors: [
                [.transaction([.split(StepKeys.low), .split(StepKeys.low)])], [.get(StepKeys.low)],
            ], kills: 1, movesPages: true)

        /// The old directory still names a page that the second split writes.
        static let doubling = StepScenario(
            name: "doubling", keys: [StepKeys.high, StepKeys.low], setup: [.set(StepKeys.low), .set(StepKeys.high)],
            actors: [[.transaction([.split(StepKeys.high), .split(StepKeys.high)])], [.get(StepKeys.high)]], kills: 1,
            movesPages: true)

        /// move.pml.
        static let splitRolledBack = StepScenario(
            name: "split rolled back", keys: splitKeys, setup: splittable,
            actors: [[.rollBack([.set(StepKeys.low), .split(StepKeys.low)])], [.set(2)], [.get(StepKeys.low)]],
            kills: 1,
            movesPages: true)

        /// From depth 7 to 8 the keys are hashed again.
        static let splitByRecords = StepScenario(
            name: "split by records", keys: splitKeys,
            setup: splittable + [.transaction(Array(repeating: .split(StepKeys.low), count: 6))],
            actors: [
                [.transaction([.set(StepKeys.low), .split(StepKeys.low)])], [.set(StepKeys.low)], [.get(StepKeys.low)],
            ], kills: 2,
            movesPages: true)

        /// An insert that finds no place.
        static let fullPage = StepScenario(
            name: "full page", keys: [StepKeys.crowd[0], StepKeys.crowd[31], StepKeys.crowd[32]],
            setup: StepKeys.crowd[..<32].map { .set($0) },
            actors: [[.set(StepKeys.crowd[32])], [.get(StepKeys.crowd[31]), .get(StepKeys.crowd[32])]], kills: 1,
            movesPages: true)

        /// head-word.pml.
        static let clearAfterSet = StepScenario(
            name: "clear", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.set(2), .clearOnly], [.get(1), .get(1)]], kills: 1)

        static let clearKilled = StepScenario(
            name: "clear killed", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.transaction([.set(2)]), .clearOnly, .set(1)], [.set(2)], [.get(1), .get(2)]], kills: 2)

        /// After a `clear` slots still name what lies below the head. One writer has it mapped, the other not
        /// (Decisions, "Slots below the head").
        static let clearAndMappings = StepScenario(
            name: "clear and mappings", keys: [1, 2],
            setup: [.compactionOff, .set(1), .set(2), .fill(4, 50_000), .fill(4, 20_000)],
            actors: [
                [.clearOnly, .set(1), .set(1)], [.letGo, .transaction([.set(1), .set(2)]), .set(1)],
                [.get(1), .get(2)],
            ],
            kills: 2, makesFiles: true, movesPages: true)

        /// What is written after a `clear` gets a place before the one that a snapshot still needs: it is free since a compaction.
        static let clearBehindSnapshot = StepScenario(
            name: "clear behind a snapshot", keys: [StepKeys.neighbour, StepKeys.low],
            setup: [
                .compactionOff, .set(StepKeys.neighbour), .set(StepKeys.low), .delete(StepKeys.neighbour),
                .fill(4, 50_000), .fill(4, 20_000), .compact(sparing: false), .set(StepKeys.low),
            ],
            actors: [
                [.clearOnly, .transaction([.set(StepKeys.low), .set(StepKeys.neighbour)]), .delete(StepKeys.low)],
                [.snapshotOfSetup([StepKeys.low, StepKeys.neighbour]), .get(StepKeys.low)],
            ],
            kills: 1, makesFiles: true, movesPages: true, compacts: true)

        /// block.pml.
        static let blockReading = StepScenario(
            name: "block", keys: [1, 2, 3], setup: [.set(1)],
            actors: [[.set(2), .delete(2), .nothing, .nothing], [.block, .block], [.set(3)]], kills: 1)

        static let rollOver = StepScenario(
            name: "roll over", keys: [1, 2, 3], setup: [.compactionOff, .set(1), .fill(2, 30_000)],
            actors: [[.fill(1, 40_000)], [.set(3), .fill(1, 50_000)], [.get(1), .get(3)]], kills: 2, makesFiles: true)

        static let renewal = StepScenario(
            name: "renewal", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.clear, .set(1)], [.set(2)], [.get(1), .get(1)]],
            kills: 1, makesFiles: true, movesPages: true)

        static let replacement = StepScenario(
            name: "replacement", keys: [1, 2], setup: [.set(1), .set(2)],
            actors: [[.replaceIndex, .set(1)], [.set(2)], [.get(1), .get(1)]], kills: 1, makesFiles: true,
            movesPages: true)

        /// Two segments; the first holds rows, versions that were replaced, and a tombstone.
        private static let compactable: [StepAction] = [
            .compactionOff, .set(1), .set(2), .set(3), .delete(3), .fill(2, 30_000), .fill(4, 40_000),
        ]

        /// A writer replaces what is being copied, a reader finds it all the while.
        static let compaction = StepScenario(
            name: "compaction", keys: [1, 2, 3, 4], setup: compactable,
            actors: [[.compact(sparing: true)], [.set(1), .set(3)], [.get(1), .get(2), .get(3)]], kills: 2,
            makesFiles: true, movesPages: true, compacts: true)

        static let compactionUnderSnapshot = StepScenario(
            name: "compaction under a snapshot", keys: [1, 2, 3, 4], setup: compactable,
            actors: [[.compact(sparing: true)], [.snapshot([1, 2, 3, 1])], [.delete(2)]], kills: 1, makesFiles: true,
            movesPages: true, compacts: true)

        /// A snapshot that is in the way says that it has expired; it reads nothing wrong.
        static let compactionUnsparing = StepScenario(
            name: "compaction that spares no snapshot", keys: [1, 2, 3, 4],
            setup: [.compactionOff, .set(1), .set(2), .set(3), .fill(2, 30_000), .fill(4, 40_000)],
            actors: [[.delete(3), .compact(sparing: false)], [.snapshot([3, 1, 3])]], kills: 1, makesFiles: true,
            movesPages: true, compacts: true)

        /// Nothing comes back that was cleared after the compactor had looked at it.
        static let compactionAfterClear = StepScenario(
            name: "compaction and clear", keys: [1, 2, 3, 4], setup: compactable,
            actors: [[.compact(sparing: true)], [.clearOnly, .set(2)], [.get(1), .get(2)]], kills: 1, makesFiles: true,
            movesPages: true, compacts: true)

        /// The row is replaced between the compactor's look and its copy.
        static let compactionOfOne = StepScenario(
            name: "compaction of one row", keys: [1, 4],
            setup: [.compactionOff, .set(1), .fill(4, 50_000), .fill(4, 20_000)],
            actors: [[.compact(sparing: true)], [.set(1)]], makesFiles: true, movesPages: true, compacts: true)

        /// What a tombstone hides from all others.
        static let compactionBehindSnapshot = StepScenario(
            name: "compaction behind a snapshot", keys: [3, 4], setup: [.compactionOff, .set(3), .fill(4, 50_000)],
            actors: [[.delete(3), .fill(4, 20_000), .compact(sparing: false)], [.snapshotOfSetup([3])]],
            makesFiles: true, movesPages: true, compacts: true)

        /// One of two is killed, the other goes on.
        static let compactors = StepScenario(
            name: "two compactors", keys: [1, 2, 3, 4], setup: compactable,
            actors: [[.compact(sparing: true)], [.compact(sparing: true)], [.get(1), .get(3)]], kills: 2,
            makesFiles: true, movesPages: true, compacts: true)

        /// One writer, and one that settles what it left.
        static let killings: [StepScenario] = [
            killing("a set", [.set(1)]),
            killing("a rollback", [.rollBack([.set(1), .set(3)])]),
            killing("a transaction", [.transaction([.set(1), .set(3), .delete(2)])]),
            killing("a clear", [.clearOnly]),
            StepScenario(
                name: "kills in a split", keys: splitKeys, setup: splittable,
                actors: [[.transaction([.split(StepKeys.low)])], [.set(StepKeys.low)]], kills: 2, movesPages: true),
            rollKilled,
        ]

        /// A kill in the making of a segment, and another writer that goes on in the old one.
        static let rollKilled = StepScenario(
            name: "kills in a roll", keys: [1, 2, 3], setup: [.compactionOff, .set(1), .fill(2, 30_000)],
            actors: [[.fill(1, 40_000)], [.set(3)]], kills: 1, makesFiles: true)

        private static func killing(_ name: String, _ actions: [StepAction]) -> StepScenario {
            StepScenario(
                name: "kills in \(name)", keys: [1, 2, 3], setup: [.set(1), .set(2)], actors: [actions, [.set(2)]],
                kills: 2)
        }
    }
#endif
