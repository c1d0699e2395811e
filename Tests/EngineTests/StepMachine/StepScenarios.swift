@testable import DiskCacheEngine

/// The scenarios, each a small instance of one protocol of DESIGN 4, 5, 7.1 and 8.
extension StepScenario {
    static let all: [StepScenario] = [
        overwrite, twoWriters, insertAndDelete, rollBack, killedTransaction, pair, splitUnderReader, splitKilled, twoSplits,
        doubling, splitRolledBack, splitByRecords, fullPage, clearAfterSet, clearKilled, blockReading, rollOver, renewal,
        replacement,
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

    private static let splittable: [StepAction] = (1...6).map { .set($0) }

    static let splitUnderReader = StepScenario(
        name: "split", keys: [1, 2, 3], setup: splittable,
        actors: [[.transaction([.split(1), .set(1)])], [.get(1), .get(2)]], movesPages: true)

    /// Four entries to publish, a kill at each store (hash-copysplit.pml).
    static let splitKilled = StepScenario(
        name: "split killed", keys: [1, 2, 3], setup: splittable, actors: [[.transaction([.split(1)])], [.set(2)], [.get(1), .get(2)]],
        kills: 2, movesPages: true
    ) { store in
        try StepKeys.deepen(store, awayFrom: StepKeys.twins(store, apart: false), to: 3)
    }

    /// The retired page is written by the next split while a reader is still in it. Two keys share a bucket and part at a split,
    /// so that the one that is looked for moves within its line.
    static let twoSplits = StepScenario(
        name: "two splits", keys: [1, 2, 3], setup: splittable,
        actors: [[.transaction([.split(StepKeys.twinLow)]), .transaction([.split(StepKeys.twinLow)])], [.get(StepKeys.twinLow)]],
        kills: 1, movesPages: true
    )

    static let doubling = StepScenario(
        name: "doubling", keys: [1, 2, 3], setup: splittable,
        actors: [[.transaction([.split(1)]), .transaction([.split(1)]), .transaction([.split(1)])], [.get(1)]], kills: 1, movesPages: true)

    /// move.pml.
    static let splitRolledBack = StepScenario(
        name: "split rolled back", keys: [1, 2, 3], setup: splittable,
        actors: [[.rollBack([.set(1), .split(1)]), .set(2)], [.get(1)]], kills: 1, movesPages: true)

    static let splitByRecords = StepScenario(
        name: "split by records", keys: [1, 2, 3], setup: splittable,
        actors: [[.transaction([.set(1), .split(1)]), .set(2)], [.set(3)], [.get(1)]], kills: 2, movesPages: true
    ) { store in
        try StepKeys.split(store, 1, times: 7)
    }

    static let fullPage = StepScenario(
        name: "full page", keys: [1], setup: [.set(1)], actors: [[.set(1)], [.get(1)]], kills: 1, movesPages: true)

    /// head-word.pml.
    static let clearAfterSet = StepScenario(
        name: "clear", keys: [1, 2], setup: [.set(1), .set(2)], actors: [[.set(2), .clearOnly], [.get(1), .get(1)]], kills: 1)

    static let clearKilled = StepScenario(
        name: "clear killed", keys: [1, 2], setup: [.set(1), .set(2)],
        actors: [[.transaction([.set(2)]), .clearOnly, .set(1)], [.set(2)], [.get(1), .get(2)]], kills: 2)

    /// block.pml.
    static let blockReading = StepScenario(
        name: "block", keys: [1, 2, 3], setup: [.set(1)],
        actors: [[.set(2), .delete(2), .nothing, .nothing], [.block, .block], [.set(3)]], kills: 1)

    static let rollOver = StepScenario(
        name: "roll over", keys: [1, 2, 3], setup: [.set(1), .fill(2, 30_000)],
        actors: [[.fill(1, 40_000)], [.set(3), .fill(1, 50_000)], [.get(1), .get(3)]], kills: 2, makesFiles: true)

    static let renewal = StepScenario(
        name: "renewal", keys: [1, 2], setup: [.set(1), .set(2)], actors: [[.clear, .set(1)], [.set(2)], [.get(1), .get(1)]],
        kills: 1, makesFiles: true, movesPages: true)

    static let replacement = StepScenario(
        name: "replacement", keys: [1, 2], setup: [.set(1), .set(2)],
        actors: [[.replaceIndex, .set(1)], [.set(2)], [.get(1), .get(1)]], kills: 1, makesFiles: true, movesPages: true)
}
