import Harness

/// The report of a full run.
enum Report {
    /// A group's part: heading, what was done, what is to be said of it, tables and plots.
    static func section(_ group: any Group, _ result: GroupResult) -> Section {
        var section = Section()
        section.say("## \(group.title)")
        section.say(group.about)
        section.say(
            "\(grouped(result.keys)) keys at most, \(result.rounds) round\(result.rounds == 1 ? "" : "s") at most.")
        if let notes = try? Files.read("\(Driver.benchmarks)/Notes/\(group.name).md") { section.text += notes + "\n" }
        group.render(result, into: &section)
        for failure in result.failures { section.say("Failed: \(failure)") }
        return section
    }

    /// Makes REPORT.md and the folder of plots in `directory` from the results in a folder.
    static func make(in directory: String, from results: String) throws {
        let names = Set(try Files.names(in: results))
        var found: [(group: any Group, result: GroupResult)] = []
        for group in allGroups where names.contains("\(group.name).json") {
            found.append((group, try JSON.decode(GroupResult.self, try Files.read("\(results)/\(group.name).json"))))
        }
        guard let machine = found.first?.result.machine else { throw EngineError("\(results) holds no results") }
        var contestants: [[String]] = []
        for contestant in found.flatMap(\.result.contestants)
        where !contestants.contains(where: { $0[0] == contestant[0] }) {
            contestants.append(contestant)
        }
        var text = "# What it costs, beside others\n\n"
        text += "Made by `bench --report`; \(machine.processor), \(machine.cores) cores, \(machine.kernel). "
        text += (try? Files.read("\(Driver.benchmarks)/Notes/report.md")) ?? "\n"
        text += "\n## What was asked, and what was reached\n\n"
        text += Targets.table(Dictionary(uniqueKeysWithValues: found.map { ($0.group.name, $0.result) }))
        if let notes = try? Files.read("\(Driver.benchmarks)/Notes/targets.md") { text += notes + "\n" }
        text += "## The engines\n\n"
        var table = Table(["engine", "version", "how it is configured"])
        for contestant in contestants { table.add(contestant) }
        text += table.text.replacingFirst("|---|--:|--:|", with: "|---|---|---|")
        var plots: [(name: String, plot: Plot)] = []
        for (group, result) in found {
            let section = section(group, result)
            text += section.text
            plots += section.plots
        }
        while text.hasSuffix("\n\n") { text.removeLast() }
        try Files.write(text, to: "\(directory)/REPORT.md")
        if !(try Files.names(in: directory)).contains("plots") { try Files.makeDirectory("\(directory)/plots") }
        for (name, plot) in plots { try Files.write(plot.svg, to: "\(directory)/plots/\(name).svg") }
    }
}

extension String {
    fileprivate func replacingFirst(_ text: String, with other: String) -> String {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return self[..<start] + other + self[index(start, offsetBy: text.count)...]
            }
            start = index(after: start)
        }
        return self
    }
}
