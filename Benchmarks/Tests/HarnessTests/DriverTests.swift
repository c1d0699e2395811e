import Harness
import Testing

@testable import Driver

@Test func theCommandLineIsUnderstood() throws {
    let options = try Options(["basic", "costs", "--keys", "5000", "--only", "diskcache,floor", "--check"], Driver.own)
    #expect(options.groups.map(\.name) == ["basic", "costs"])
    #expect(options.keys == 5000 && options.only == ["diskcache", "floor"] && options.checksThresholds)
    #expect(try Options([], Driver.own).groups.count == allGroups.count)
    for wrong in [["nonsense"], ["--keys"], ["--keys", "3"], ["--only", "nobody"], ["--report", "."]] {
        #expect(throws: UsageError.self) { try Options(wrong, Driver.own) }
    }
    #expect(Set(allGroups.map(\.name)).count == allGroups.count)
    #expect(Options.usage(Driver.own).contains("growth"))
}

/// Everything that the driver does by itself, in this process, with engines of this package.
@Test(arguments: ["basic", "sizes", "ycsb", "full", "keys", "durable", "growth", "beyond"])
func groupsRunAndShowWhatTheyFound(name: String) throws {
    let group = try #require(allGroups.first { $0.name == name })
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    defer { try? Files.remove(directory) }
    let run = Run(group: name, contestants: Driver.own, keys: 1000, rounds: 1, isSmoke: true, directory: directory)
    try group.run(run)
    #expect(run.result.failures.isEmpty)
    #expect(run.samples.contains { $0.engine == "diskcache" })
    let text = try JSON.line(run.result)
    let result = try JSON.decode(GroupResult.self, text)
    #expect(try JSON.line(result) == text)
    let section = Report.section(group, result)
    #expect(section.text.contains("| diskcache |") || section.text.contains("| operation |"))
    for (_, plot) in section.plots { #expect(plot.svg.contains("polyline")) }
    #expect(try Files.names(in: directory).isEmpty)
}

@Test func systemCallsAreCountedBetweenTheMarks() {
    let trace = """
        10 openat(AT_FDCWD, "x", O_RDONLY) = 3
        10 access("/trace-begins/get-hit", F_OK) = -1 ENOENT (No such file or directory)
        10 access("/trace-ends", F_OK) = -1 ENOENT (No such file or directory)
        10 close(3) = 0
        10 access("/trace-begins/set-new", F_OK) = -1 ENOENT (No such file or directory)
        10 flock(3, LOCK_EX) = 0
        11 futex(0x1, FUTEX_WAIT, 0, NULL <unfinished ...>
        10 flock(3, LOCK_UN) = 0
        11 <... futex resumed>) = 0
        10 access("/trace-ends", F_OK) = -1 ENOENT (No such file or directory)
        """
    #expect(Costs.systemCalls(trace) == [0, 2])
}

@Test func instructionsAndAllocationsAreReadFromCallgrind() {
    let text = """
        events: Ir
        summary: 1234

        fn=(1) bench_traced_steps
        16 100
        cfn=(2) malloc
        calls=3 20
        16 30
        cfn=(4) memcpy
        calls=9 20
        16 30

        fn=(6) swift_slowAlloc
        cfn=(2)
        calls=4 20
        16 30
        cfn=(8) malloc'2
        calls=1 20
        16 1
        totals: 1234
        """
    let counts = Costs.counts(ofCallgrind: text)
    #expect(counts.instructions == 1234 && counts.allocations == 8)
}

@Test func whatIsAboveAThresholdIsSaid() {
    let sample = Sample(
        engine: "diskcache", workload: "get-hit", round: 0,
        figures: ["instructions": 900, "allocations": 0, "system calls": 0.5, "bytes written": 0])
    let result = GroupResult(
        group: "costs", machine: Machine(), keys: 1, rounds: 1, contestants: [], failures: [], samples: [sample])
    #expect(Costs.excesses(result, thresholds: "# verb …\nget-hit 1000 0 1 0\n").isEmpty)
    #expect(
        Costs.excesses(result, thresholds: "get-hit 1000 0 0.1 -\n") == ["get-hit: 0.500 system calls, at most 0.1"])
    #expect(Costs.excesses(result, thresholds: "get-hit 10 0 1 0\n").count == 1)
    #expect(Costs.excesses(result, thresholds: "get-miss 10 0 1 0\n").count == 5)
    #expect(Costs.excesses(result, thresholds: "get-hit 10\n").count == 2)
    #expect(Costs.excesses(result, thresholds: "").count == 1)
}

@Test func theReportTellsWhatWasReached() throws {
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    defer { try? Files.remove(directory) }
    let samples = [("diskcache", 100.0), ("lmdb-nosync", 250), ("tkrzw-hash", 110), ("python-diskcache", 5000)].map {
        Sample(engine: $0, workload: Verb.get.name, round: 0, figures: [Figure.mean: $1, Figure.median: $1])
    }
    let result = GroupResult(
        group: "basic", machine: Machine(), keys: 1, rounds: 1, contestants: [["diskcache", "", "ours"]], failures: [],
        samples: samples)
    try Files.write(JSON.line(result), to: "\(directory)/basic.json")
    try Report.make(in: directory, from: directory)
    let report = try Files.read("\(directory)/REPORT.md")
    #expect(report.contains("| `get` hit, beside `lmdb-nosync`, means | 2.00 × | 2.50 × (2.50 to 2.50) | yes |"))
    #expect(report.contains("| `get` hit, beside `tkrzw-hash`, means | 1.40 × | 1.10 × (1.10 to 1.10) | **no** |"))
    #expect(report.contains("| 80.0 × |  | not measured |"))
    #expect(report.contains("| diskcache |  | ours |"))
    #expect(throws: (any Error).self) { try Report.make(in: directory, from: "\(directory)/plots") }
}
