import TestSupport
import Testing

@testable import DiskCacheEngine

/// T6, T15: each single bit flip, and coarser damage, in every file of a small closed store: the right value, a miss that is
/// reported, or an error; never another value, an older one, a trap or a hang.
///
/// Bits: all of every 64 bytes in which any bit is set, and one in every 64 bytes of zeros (`DAMAGE_STEP` takes every nth only).
@Suite(.serialized) struct DamageTests {
    @Test func everyBit() throws { try run("bits", segments: 1, step: environmentNumber("DAMAGE_STEP", default: 1)) }

    /// At the other levels, one in 41 of them: what finds damage is the same.
    @Test(arguments: [Durability.none, .full]) func bitsAtEveryLevel(_ durability: Durability) throws {
        try run("bits", segments: 1, step: 41, durability)
    }

    @Test func filesCutZeroedSwappedDeletedReplaced() throws { try run("files", segments: 3, step: 1) }

    private func run(_ kind: String, segments: Int, step: Int, _ durability: Durability = .normal) throws {
        let scratch = try TestDirectory("damage")
        let parts = 2
        var wrong: [String] = []
        var done = 0
        let results = try (0..<parts).map { part in
            try DamageRun(
                directory: scratch.path, kind: kind, segments: segments, part: part, parts: parts, step: step,
                durability)
        }
        for result in results {
            result.follow()
            wrong += result.wrong
            #expect(result.done >= result.total / (parts * step))
            done += result.done
        }
        print("damage, \(kind): \(done) of \(results[0].total) tried, \(results[0].names)")
        if !wrong.isEmpty { Issue.record("\(wrong.count) wrong:\n\(wrong.prefix(40).joined(separator: "\n"))") }
    }
}

/// One of the processes among which the damages are shared out, started again behind a damage that killed it.
private final class DamageRun {
    private var child: ChildProcess
    private let arguments: [String]
    private let directory: String
    private let stride: Int
    private var starts = 0
    private(set) var total = 0
    private(set) var done = 0
    private(set) var names = ""
    private(set) var wrong: [String] = []

    init(
        directory: String, kind: String, segments: Int, part: Int, parts: Int, step: Int, _ durability: Durability
    ) throws {
        self.directory = directory + "/\(part)"
        stride = parts * step
        arguments = [
            "damage", "kind=\(kind)", "segments=\(segments)", "part=\(part)", "parts=\(parts)", "step=\(step)",
            "durability=\(durability.rawValue)",
        ]
        child = try ChildProcess(arguments + ["directory=\(self.directory)-0"])
    }

    func follow() {
        var last = -1
        while true {
            while let line = child.line(seconds: 30) {
                if let number = Int(line) {
                    last = number
                    done += 1
                } else if line.hasPrefix("wrong") {
                    wrong.append(line)
                } else if let count = line.split(separator: " ").first.flatMap({ Int($0) }) {
                    total = count
                    names = line
                } else {
                    wrong.append(line)
                }
            }
            let end = child.finish(seconds: 0.1).end
            if end == .exited(0) { return }
            wrong.append("the damage after number \(last) ended in \(end)")
            starts += 1
            if starts > 20 || last < 0 { return }
            guard
                let again = try? ChildProcess(
                    arguments + ["directory=\(directory)-\(starts)", "from=\(last + stride + 1)"])
            else { return }
            child = again
        }
    }
}
