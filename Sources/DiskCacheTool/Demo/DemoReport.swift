/// What the demo found.
struct DemoReport {
    /// What the processes of a phase did together, from the first's begin to the last's end.
    struct Work {
        var operations = 0
        var bytes = 0
        var nanoseconds: UInt64 = 0

        /// Operations a second, and bytes.
        fileprivate func rates(_ what: String) -> String {
            let seconds = max(Double(nanoseconds), 1) / 1e9
            if operations == 0 { return "none" }
            let megabytes = Double(bytes) / seconds / 1e6
            return "\(rounded(Double(operations) / seconds, 0)) \(what)/s, \(rounded(megabytes, 1)) MB/s"
        }
    }

    let walk: FolderWalk
    let processes: Int
    var stored = Work()
    var read = Work()
    /// Files that turned out not to be readable.
    var unreadable = 0
    /// Values that are missing or differ from what was stored.
    var wrong = 0
    /// Files that changed while this ran.
    var changed = 0
    /// Bytes on disk when the files were stored.
    var volume = 0
    var kills = 0
    /// The longest time from a kill to the first write after it, in nanoseconds.
    var reopening: UInt64 = 0
    var acknowledged = 0
    var lost = 0
    var findings: [String] = []

    /// Whether everything is there.
    var isGood: Bool { wrong == 0 && lost == 0 && findings.isEmpty && read.operations == stored.operations }

    /// Prints all of it.
    func print() throws {
        var skipped = walk
        skipped.count("unreadable files", unreadable)
        var rows = [
            (name: "files", value: grouped(stored.operations)), ("bytes", grouped(stored.bytes)),
            ("left out", skipped.description),
            ("processes", "\(processes) writing, then \(processes) reading"),
            ("stored, files read included", stored.rates("writes")), ("read back", read.rates("reads")),
            ("values missing or different", grouped(wrong)),
        ]
        if changed > 0 { rows.append(("files that changed meanwhile", grouped(changed))) }
        rows += [
            ("bytes on disk", grouped(volume)), ("writers killed", grouped(kills)),
            ("reopening after the kill", "\(rounded(Double(reopening) / 1e6, 2)) ms at most, the first write included"),
            ("acknowledged writes", grouped(acknowledged)), ("acknowledged writes lost", grouped(lost)),
            ("findings of the check", grouped(findings.count)),
        ]
        try Output.line("")
        try Output.table(rows)
        for finding in findings { try Output.line("  \(finding)") }
        try Output.line(isGood ? "\nEverything is there." : "\nSomething is missing or differs: see above.")
    }
}
