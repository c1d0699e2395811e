import Testing

@testable import Harness

@Test func keysAreWrittenAsTwelveDigitsAndReadBack() {
    let buffer = KeyFormat.allocate()
    defer { buffer.deallocate() }
    var numbers = (0...12).map { power in (0..<power).reduce(1 as UInt64) { number, _ in number * 10 } - 1 }
    numbers += stride(from: 0, to: 999_999_999_999, by: 1_234_567_891).map { UInt64($0) }
    numbers += (0..<20_000).map { $0 }
    for number in numbers {
        KeyFormat.write(number, to: buffer.baseAddress!)
        let digits = String(number)
        let expected = "key-" + String(repeating: "0", count: 12 - digits.count) + digits
        #expect(String(decoding: buffer, as: UTF8.self) == expected)
        #expect(KeyFormat.number(at: buffer.baseAddress!) == number)
    }
}

@Test func histogramBucketsAreContiguousAndNarrow() {
    var last = -1
    for duration in (0...5000 as ClosedRange<UInt32>).map({ $0 }) + [1 << 20, 1 << 31, .max] {
        let bucket = Histogram.bucket(duration)
        if duration <= 5000 { #expect(bucket == last || bucket == last + 1) }
        last = bucket
        let middle = Double(Histogram.middle(bucket))
        #expect(abs(middle - Double(duration)) <= max(0, Double(duration) / 64))
        #expect(Histogram.bucket(UInt32(clamping: Histogram.middle(bucket))) == bucket)
    }
}

@Test func percentilesOfAKnownDistribution() {
    var histogram = Histogram()
    for duration in 1...1000 as ClosedRange<UInt32> { histogram.add(duration * 100) }
    #expect(histogram.mean == 50_050)
    #expect(histogram.maximum == 100_000)
    for (fraction, expected) in [(0.5, 50_000.0), (0.99, 99_000), (0.999, 99_900), (1, 100_000)] {
        #expect(abs(histogram.percentile(fraction) - expected) <= expected * 0.016)
    }
    var twice = histogram
    twice.add(histogram)
    #expect(twice.count == 2000)
    #expect(twice.percentile(0.5) == histogram.percentile(0.5))
    #expect(twice.counts.reduce(0) { $0 + $1.count } == 2000)
    #expect(histogram.count(over: 0) == 1000)
    #expect(histogram.count(over: 1_000_000) == 0)
    #expect(Histogram().percentile(0.5) == 0)
}

@Test func aStepHoldsItsVerbAndNumber() {
    for verb in Verb.allCases {
        for number in [0, 1, 99_999_999, Int(Verb.numberMask)] {
            let step = verb.step(number)
            #expect(Verb(of: step) == verb)
            #expect(Int(step & Verb.numberMask) == number)
        }
    }
    #expect(Verb.allCases.map(\.rawValue) == Array(0..<17))
    #expect(Set(Verb.allCases.map(\.name)).count == Verb.allCases.count)
}

@Test func aShuffledPlanTakesEveryKeyOnceAndMissesAreMisses() {
    func numbers(_ plan: Plan) -> [Int] { plan.script().map { Int($0 & Verb.numberMask) } }
    let order = numbers(Plan(.set, count: 1000, keys: 1000))
    #expect(order.sorted() == Array(0..<1000))
    #expect(order != Array(0..<1000))
    #expect(numbers(Plan(.delete, count: 100, keys: 1000)) == Array(order[..<100]))
    #expect(numbers(Plan(.set, count: 1000, keys: 1000, seed: 1)) != order)
    #expect(numbers(Plan(.miss, count: 1000, keys: 1000)).allSatisfy { $0 >= 1000 && $0 < 2000 })
    #expect(numbers(Plan(.get, .uniform, count: 1000, keys: 50)).allSatisfy { $0 < 50 })
}

@Test func mixesHaveTheirShares() {
    let script = Plan([(.get, 90), (.overwrite, 9), (.remove, 1)], .uniform, count: 100_000, keys: 100).script()
    var counts: [Verb: Int] = [:]
    for step in script { counts[Verb(of: step), default: 0] += 1 }
    #expect(abs(counts[.get]! - 90_000) < 1000 && abs(counts[.overwrite]! - 9000) < 600)
    #expect(abs(counts[.remove]! - 1000) < 200)
}

@Test func whatIsStoredAnewInAMixIsNewToAllOfThem() {
    func stored(_ seed: UInt64) -> [UInt32] {
        Plan([(.get, 50), (.set, 50)], .uniform, count: 1000, keys: 100, seed: seed).script()
            .filter { Verb(of: $0) == .set }
            .map { $0 & Verb.numberMask }
    }
    let (first, second) = (stored(0), stored(1))
    #expect(Set(first + second).count == first.count + second.count)
    #expect((first + second).allSatisfy { $0 >= 100 })
    // Of the latest, only what is there is asked for.
    var newest: UInt32 = 99
    for step in Plan([(.get, 90), (.set, 10)], .latest, count: 5000, keys: 100, seed: 3).script() {
        let number = step & Verb.numberMask
        if Verb(of: step) == .set {
            #expect(number == newest + 1)
            newest = number
        } else {
            #expect(number <= newest)
        }
    }
}

@Test func zipfsLawHoldsForTheFirstRanks() {
    let zipf = Zipf(1000)
    var random = SplitMix64(state: 1)
    var counts = [Int](repeating: 0, count: 1000)
    let draws = 1_000_000
    for _ in 0..<draws { counts[zipf.rank(&random)] += 1 }
    // The share of rank 0 is 1 / zeta(1000, 0.99) = 0.1294 and rank 1 has 2^-0.99 of that.
    #expect(abs(Double(counts[0]) / Double(draws) - 0.1294) < 0.002)
    #expect(abs(Double(counts[1]) / Double(counts[0]) - 0.5035) < 0.01)
    #expect(counts[999] > 0)
}

@Test func theFloorKeepsWhatItIsGiven() throws {
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    defer { try? Files.remove(directory) }
    for contestant in Contestant.floors {
        let path = "\(directory)/\(contestant.name)"
        try Files.makeDirectory(path)
        let engine = try contestant.open(path, Conditions(keys: 1000))
        let buffers = Buffers(valueSize: 100)
        for verb in [Verb.set, .get, .borrow, .miss, .overwrite, .probe, .modify, .delete] {
            let plan = Plan(verb, count: verb == .delete ? 100 : 1000, keys: 1000)
            let measured = try Run.measure(engine, plan.script()[...], buffers)
            #expect(measured.histograms[verb]?.count == plan.count)
            #expect(measured.nanoseconds > 0)
        }
        // What was deleted isn't there, which a `get` takes for a wrong answer.
        #expect(throws: EngineError.self) {
            try Run.measure(engine, Plan(.get, count: 100, keys: 1000).script()[...], buffers)
        }
        try engine.close()
    }
}

@Test func anEngineThatAnswersWronglyIsFound() throws {
    final class Confused: Engine {
        func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {}
        func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int {
            buffer.copyBytes(from: "00000001 is another key's value".utf8)
            return 40
        }
        func borrow(_ key: UnsafeRawBufferPointer, size: Int) -> UInt64? { 0 }
        func delete(_ key: UnsafeRawBufferPointer) -> Bool { false }
        func close() {}
    }
    let buffers = Buffers(valueSize: 40)
    for verb in [Verb.get, .miss, .probe, .borrow, .modify, .delete, .incr, .range, .push] {
        #expect(throws: EngineError.self) { try Run.measure(Confused(), [verb.step(7)], buffers) }
    }
}

@Test func contestantsTakeTurnsAndOneThatFailsIsLeftOut() throws {
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    defer { try? Files.remove(directory) }
    let run = Run(
        group: "test", contestants: Contestant.floors, keys: 1000, rounds: 3, isSmoke: true, directory: directory)
    var turns: [String] = []
    try run.turns(run.contestants) { contestant, round, path in
        #expect(try Files.names(in: path).isEmpty)
        turns.append("\(contestant.name) \(round)")
        if contestant.name == "floor-flock", round == 1 { throw EngineError("on purpose") }
        run.note(
            Sample(engine: contestant.name, workload: "w", round: round, figures: [Figure.mean: Double(round + 1)]))
    }
    #expect(turns == ["floor 0", "floor-flock 0", "floor-flock 1", "floor 1", "floor 2"])
    #expect(run.result.failures.count == 1)
    #expect(run.result.spread(Figure.mean, "floor", "w")?.median == 2)
    #expect(run.result.spread(Figure.mean, "floor-flock", "w")?.greatest == 1)
    #expect(try Files.names(in: directory).isEmpty)
}

@Test func ratiosAreThoseOfTheSameRound() {
    let samples = [("a", 0, 2.0), ("a", 1, 30), ("b", 0, 1), ("b", 1, 10)].map { engine, round, mean in
        Sample(engine: engine, workload: "w", x: 8, round: round, figures: [Figure.mean: mean])
    }
    let result = GroupResult(
        group: "g", machine: Machine(), keys: 1, rounds: 2, contestants: [["b", "", ""]], failures: [], samples: samples
    )
    let ratio = result.ratio(Figure.mean, "a", to: "b", "w")
    #expect(ratio?.least == 2 && ratio?.greatest == 3 && ratio?.median == 2.5)
    #expect(result.engines == ["b", "a"])
    #expect(
        result.table(Figure.mean, .plain, columns: result.columns("w"))
            == "| engine | 8 |\n|---|--:|\n| b | 5.50 |\n| a | 16.0 |\n\n")
    #expect(result.ratioTable(Figure.mean, to: "b", columns: result.columns()).contains("| a | 2.50 (2.00 to 3.00) |"))
}

@Test func aPlotShowsItsLinesAndTicks() {
    var plot = Plot("a < b", x: "keys", .logarithmic, y: "µs", .linear)
    plot.add("one", [(1000, 1), (1_000_000, 4)])
    plot.add("nothing", [(0, 1)])
    let svg = plot.svg
    #expect(svg.contains("a &lt; b") && svg.contains("polyline") && svg.contains(">one<"))
    #expect(!svg.contains("nothing") && !svg.contains("nan") && !svg.contains("inf"))
    #expect(
        Plot.ticks((3, 6), .logarithmic).map(\.value.rounded) == [
            1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
        ])
    #expect(Plot.ticks((0, 10), .linear).map(\.value) == [0, 2, 4, 6, 8, 10])
    #expect(Plot.ticks((0, 3), .nines).map(\.name) == ["0", "50 %", "90 %", "99 %", "99.9 %"])
}

extension Double {
    fileprivate var rounded: Double { rounded() }
}

@Test func aChildAnswersLineByLine() throws {
    let child = try Child(["sh", "-c", "while read -r line; do echo \"got $line\"; done; exit 3"], pipes: true)
    #expect(try child.ask("one") == "got one")
    try child.send("two")
    try child.send("three")
    #expect(try child.receive() == "got two")
    #expect(try child.receive() == "got three")
    child.hangUp()
    #expect(child.wait() >> 8 & 0xFF == 3)
    #expect(throws: EngineError.self) { try Child(["/nowhere/to/be/found"]) }
}

@Test func filesAreMeasuredReadAndRemoved() throws {
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    try Files.makeDirectory("\(directory)/inner")
    let bytes = [UInt8](repeating: 7, count: 100_000)
    try bytes.withUnsafeBytes { try Files.write($0, to: "\(directory)/inner/file") }
    var back = [UInt8](repeating: 0, count: 100_000)
    try back.withUnsafeMutableBytes { try Files.read("\(directory)/inner/file", into: $0) }
    #expect(back == bytes)
    #expect(try Files.space(directory) >= 100_000)
    #expect(try Files.space("\(directory)/missing") == 0)
    #expect(try Files.names(in: directory) == ["inner"])
    try Files.forget(directory)
    try Files.remove(directory)
    #expect(throws: EngineError.self) { try Files.names(in: directory) }
}

@Test func numbersAreFormatted() {
    #expect(fixed(1.005, 2) == "1.00" || fixed(1.005, 2) == "1.01")
    #expect(fixed(0.0449, 2) == "0.04")
    #expect(fixed(12, 0) == "12")
    #expect(grouped(1_000_042) == "1,000,042")
    #expect(grouped(999) == "999")
    #expect(significant(0.5) == "0.500" && significant(12.34) == "12.3" && significant(123.4) == "123")
    #expect(significant(1234.5) == "1,235" || significant(1234.5) == "1,234")
}
