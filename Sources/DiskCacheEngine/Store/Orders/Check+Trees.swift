/// Proves the trees against the log, both ways.
extension Store {
    /// What is wrong with the trees; they aren't looked at while another process keeps their file locked for a second.
    ///
    /// What the log says up to the trees' position is put in order once more, and compared entry by entry.
    func checkTrees() throws(EngineError) -> [Finding] {
        guard let pager = try views.locked({ () throws(EngineError) in try views.currentPager(self) }) else {
            return block.treesGeneration.acquire() == 0
                ? []
                : [
                    Finding(
                        kind: .wrongView, message: "the file of ordered views is missing or damaged; it is made again")
                ]
        }
        var findings: [Finding] = []
        let until = SystemCalls.monotonicClock() &+ 1_000_000_000
        while true {
            do throws(EngineError) {
                let isDone = try withTreesLock(pager) { () throws(EngineError) in
                    _ = try BTreeChecker.check(pager)
                    try compare(pager, &findings)
                }
                if isDone || SystemCalls.monotonicClock() >= until { return findings }
            } catch {
                if error.code != .corrupted { throw error }
                return findings + [Finding(kind: .wrongView, message: error.message)]
            }
            SystemCalls.sleep(nanoseconds: 1_000_000)
        }
    }

    private func compare(_ pager: Pager, _ findings: inout [Finding]) throws(EngineError) {
        let root = try pager.fileRoot()
        let tail = CommitBlock.tail(block.word.relaxed())
        let first = max(head, log.window.start)
        let existing = TreeID.allCases.filter { root.trees[$0.rawValue].exists }
        if existing.isEmpty || root.position <= first { return }
        guard root.position <= tail else {
            findings.append(
                Finding(
                    kind: .wrongView,
                    message: "the ordered views reach to position \(root.position), the log to \(tail)"))
            return
        }
        for tree in existing {
            let expected = OrderChanges(tree)
            _ = try follow(from: first, to: root.position) { (record) throws(EngineError) in
                try expected.apply(record, log, head: first)
            }
            expected.changes.sort()
            try compare(BTree(pager, tree), expected.changes, &findings)
        }
    }

    private func compare(
        _ tree: BTree, _ expected: BTreeChanges, _ findings: inout [Finding]
    ) throws(EngineError) {
        let cursor = tree.cursor()
        let entries = BTreeEntries()
        var number = 0
        var (missing, unknown, different) = (0, 0, 0)
        func skipDeletions() { while number < expected.count, expected.isDeletion(number) { number += 1 } }
        while try cursor.next(entries) > 0 {
            for index in 0..<entries.count {
                skipDeletions()
                while number < expected.count, expected.key(number).lexicographicallyPrecedes(entries.key(index)) {
                    missing += 1
                    number += 1
                    skipDeletions()
                }
                guard number < expected.count, expected.key(number).elementsEqual(entries.key(index)) else {
                    unknown += 1
                    continue
                }
                if !expected.value(number).elementsEqual(entries.value(index)) { different += 1 }
                number += 1
            }
        }
        skipDeletions()
        while number < expected.count {
            missing += 1
            number += 1
            skipDeletions()
        }
        if missing + unknown + different == 0 { return }
        findings.append(
            Finding(
                kind: .wrongView,
                message: "the \(tree.id) order lacks \(missing) rows, has \(unknown) that the log doesn't know, "
                    + "and \(different) that it knows otherwise"))
    }
}
