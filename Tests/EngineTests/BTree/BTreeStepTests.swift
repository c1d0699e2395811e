// Steps exist in debug builds alone.
#if FAILPOINTS
    import TestSupport
    import Testing

    @testable import DiskCacheEngine

    /// What is left of a file when its writer is stopped between two of its steps: a kill keeps all stores up to an instant, a power
    /// loss any of the pages since the last sync.
    @Suite struct BTreeStepTests {
        /// A copy of the file at a step of a batch holds the root that was published then, can be written on, and again.
        @Test func killedAtAnyStepTheLastRootIsLeft() throws {
            var random = ReplayableRandom(tree: "killedAtAnyStepTheLastRootIsLeft")
            let fixture = try TreeFixture()
            var model = TreeModel()
            var kills = 0
            for number in 1...40 {
                let before = model
                let list = BTreeCrashTests.randomChanges(&random, &model, number == 1 ? 150 : 30)
                let step = random.below(6) + 1
                var images: [(bytes: [UInt8], isPublished: Bool)] = []
                var isPublished = false
                var steps = 0
                fixture.pager.stepHandler = { [unowned fixture] point in
                    steps += 1
                    // A batch that changes nothing may come first: only what the position says tells them apart.
                    if point == .treesRootPublished {
                        isPublished = (try? BTree(fixture.pager, .key).position().position) == UInt64(number)
                    }
                    let isRoot = point != .treesPageWritten
                    if isRoot || steps % 2 == step % 2, let image = try? fixture.image() {
                        images.append((image, isPublished))
                    }
                }
                if number % 4 == 0 { try fixture.pager.sync() }
                try fixture.apply(list, position: UInt64(number))
                fixture.pager.stepHandler = nil
                for image in images {
                    kills += 1
                    let copy = try TreeFixture(image: image.bytes)
                    var expected = image.isPublished ? model : before
                    #expect(try copy.scan() == expected.sorted)
                    let more = BTreeCrashTests.randomChanges(&random, &expected, 10)
                    try copy.apply(more)
                    _ = try BTreeChecker.check(copy.pager)
                    #expect(try copy.scan() == expected.sorted)
                }
                if number % 5 == 0 { try fixture.reopen() }
            }
            print("killedAtAnyStepTheLastRootIsLeft: \(kills) kills")
            #expect(kills >= 200)
        }

        /// Killed in a batch, then in the next one's beginning, and so on: the root stays as it was, pages aren't lost.
        @Test func killedAgainAndAgain() throws {
            var random = ReplayableRandom(tree: "killedAgainAndAgain")
            var fixture = try TreeFixture()
            var model = TreeModel()
            try fixture.apply(BTreeCrashTests.randomChanges(&random, &model, 100))
            for _ in 0..<25 {
                var ignored = model
                let list = BTreeCrashTests.randomChanges(&random, &ignored, 20)
                let stop = 1 + random.below(30)
                var steps = 0
                var image: [UInt8]?
                fixture.pager.stepHandler = { [unowned fixture] point in
                    steps += 1
                    if steps <= stop, point != .treesRootPublished { image = try? fixture.image() }
                }
                let batch = try BTreeBatch(fixture.pager)
                try batch.apply(TreeFixture.changes(list), to: .key)
                batch.abandon()
                fixture.pager.stepHandler = nil
                fixture = try TreeFixture(image: try #require(image))
                #expect(try fixture.scan() == model.sorted)
            }
            let used = try fixture.pager.fileRoot().pages
            try fixture.apply(BTreeCrashTests.randomChanges(&random, &model, 20))
            let report = try BTreeChecker.check(fixture.pager)
            #expect(try fixture.scan() == model.sorted)
            #expect(used <= 4 * (report.leaves + report.branches + report.overflowPages) + 16)
        }

        /// Power is lost while a root is being synced: the one before, or the new one, is whole.
        @Test func powerLossWhileSyncing() throws {
            var random = ReplayableRandom(tree: "powerLossWhileSyncing")
            let fixture = try TreeFixture()
            var model = TreeModel()
            try fixture.apply(BTreeCrashTests.randomChanges(&random, &model, 60), position: 1)
            try fixture.pager.sync()
            for round in 2...15 {
                let synced = try fixture.image()
                let before = model.sorted
                for _ in 0..<3 {
                    try fixture.apply(BTreeCrashTests.randomChanges(&random, &model, 10), position: UInt64(round))
                }
                var pagesSynced: [UInt8] = []
                var written: [UInt8] = []
                fixture.pager.stepHandler = { [unowned fixture] point in
                    if point == .treesPagesSynced { pagesSynced = (try? fixture.image()) ?? [] }
                    if point == .treesSyncedRootWritten { written = (try? fixture.image()) ?? [] }
                }
                let unsynced = try fixture.image()
                try fixture.pager.sync()
                fixture.pager.stepHandler = nil
                for (old, new) in [(synced, unsynced), (pagesSynced, written)] {
                    let copy = try TreeFixture(image: BTreeCrashTests.mix(old, new, &random))
                    #expect(try copy.pager.restoreSyncedRoot(notBeyond: 1000, identity: BTreeCrashTests.identity(copy)))
                    let found = try copy.scan()
                    let isNew = try BTree(copy.pager, .key).position().position == UInt64(round)
                    #expect(found == (isNew ? model.sorted : before))
                }
            }
        }
    }
#endif
