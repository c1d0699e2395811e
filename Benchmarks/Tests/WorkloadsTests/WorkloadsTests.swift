import Testing

@testable import Workloads

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
    #expect(Histogram().percentile(0.5) == 0)
}

@Test func everyKeyIsSetOnceAndMissesAreMisses() {
    let workload = Workload(keyCount: 1000)
    workload.prepare(.setNew)
    let set = (0..<1000).map { workload.numbers[$0] }
    #expect(set.sorted() == Array(0..<1000))
    #expect(set != Array(0..<1000))
    workload.prepare(.getMiss)
    #expect((0..<1000).allSatisfy { workload.numbers[$0] >= 1000 })
    workload.prepare(.delete)
    let deleted = Set((0..<Operation.delete.count(keyCount: 1000)).map { workload.numbers[$0] })
    workload.prepare(.reopen)
    #expect((0..<Operation.reopen.count(keyCount: 1000)).allSatisfy { !deleted.contains(workload.numbers[$0]) })
}

@Test func aRaceOfTheFloorMeasuresEveryOperationInEveryRound() throws {
    let directory = try Files.makeTemporaryDirectory(in: "/tmp")
    defer { try? Files.remove(directory) }
    let contestants = [false, true].map { locking in
        Contestant(locking ? "locking" : "plain", "\"quoted\"") { path, workload in
            try Floor(path: path, workload: workload, locking: locking)
        }
    }
    let race = Race(contestants, keyCount: 1000, rounds: 3, directory: directory)
    var turns: [String] = []
    let results = try race.run { turns.append($0) }
    #expect(turns.count == 2 + 6)
    for operation in Operation.allCases {
        for index in contestants.indices {
            #expect(results.measurements[index].count == 3)
            #expect(
                results.measurements[index].allSatisfy {
                    $0[operation]?.latencies.count == operation.count(keyCount: 1000)
                })
            let spread = results.spread(.mean, operation, of: index)
            #expect(spread.least > 0 && spread.least <= spread.median && spread.median <= spread.greatest)
        }
        #expect(results.ratio(.mean, operation, of: 0, to: 0).median == 1)
    }
    let report = results.markdown(reference: 0, machine: Machine())
    #expect(report.contains("| set-new | plain |") && report.contains("| reopen | locking |"))
    #expect(results.json(machine: Machine()).contains("\"configuration\":\"\\\"quoted\\\"\""))
}

@Test func anEngineThatAnswersWronglyIsFound() throws {
    final class Forgetful: Engine {
        func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {}
        func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int { -1 }
        func delete(_ key: UnsafeRawBufferPointer) {}
        func close() {}
        func reopen() {}
    }
    let workload = Workload(keyCount: 1000)
    workload.prepare(.getHit)
    #expect(throws: EngineError.self) { try Forgetful().run(.getHit, on: workload, latencies: nil) }
    workload.prepare(.overwrite)
    #expect(throws: EngineError.self) { try Forgetful().verify(.overwrite, on: workload) }
}

@Test func numbersAreFormatted() {
    #expect(fixed(1.005, 2) == "1.00" || fixed(1.005, 2) == "1.01")
    #expect(fixed(0.0449, 2) == "0.04")
    #expect(fixed(12, 0) == "12")
    #expect(grouped(1_000_042) == "1,000,042")
    #expect(grouped(999) == "999")
    #expect(quoted("a\"b\\c\n") == "\"a\\\"b\\\\c\\u000a\"")
}
