/// Proves the trees against the log, both ways.
extension Store {
    /// What is wrong with the trees; they aren't looked at while another process keeps their file locked for a second.
    ///
    /// What the log says is put in order once more, and compared entry by entry with the trees and what changes them since.
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
            // As of T on both sides: rows that were copied since P lie in the log's newest part alone.
            let expected = OrderChanges(tree)
            let later = OrderChanges(tree)
            later.base = root.position
            _ = try follow(from: first, to: tail) { (record) throws(EngineError) in
                try expected.apply(record, log, head: first)
                if record.position >= root.position { try later.apply(record, log, head: first) }
            }
            expected.changes.sort()
            later.changes.sort()
            try compare(BTree(pager, tree), later.changes, expected.changes, &findings)
        }
    }

    /// Compares a tree, and the changes behind it, with all that there should be.
    private func compare(
        _ tree: BTree, _ later: BTreeChanges, _ expected: BTreeChanges, _ findings: inout [Finding]
    ) throws(EngineError) {
        func index(of key: UnsafeRawBufferPointer, in changes: BTreeChanges) -> Int? {
            let index = changes.firstIndex(from: key)
            return index < changes.count && changes.key(index).elementsEqual(key) ? index : nil
        }
        let cursor = tree.cursor()
        let entries = BTreeEntries()
        var (met, unknown, different) = (0, 0, 0)
        while try cursor.next(entries, in: tree.pager) > 0 {
            for number in 0..<entries.count where index(of: entries.key(number), in: later) == nil {
                guard let found = index(of: entries.key(number), in: expected), !expected.isDeletion(found) else {
                    // The version before a record may have gone with the log's head: its tag's entry stays until it fails its proof.
                    if tree.id != .tag { unknown += 1 }
                    continue
                }
                met += 1
                if !expected.value(found).elementsEqual(entries.value(number)) { different += 1 }
            }
        }
        for number in 0..<later.count where !later.isDeletion(number) { met += 1 }
        let missing = (0..<expected.count).count { !expected.isDeletion($0) } - met
        if missing == 0, unknown == 0, different == 0 { return }
        findings.append(
            Finding(
                kind: .wrongView,
                message: "the \(tree.id) order lacks \(missing) rows, has \(unknown) that the log doesn't know, "
                    + "and \(different) that it knows otherwise"))
    }
}
