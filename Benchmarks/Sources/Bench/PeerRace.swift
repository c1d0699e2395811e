import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The same operations with this library and, by a script in `Peers`, with Python's DiskCache, which does fewer of each, since it is so
/// much slower. The two take turns.
struct PeerRace {
    /// What it is called in the log, the script, and what the table's reader must know.
    let name: String
    let script: String
    let note: String

    /// The table: medians over the rounds. `measure` works in a directory with as many keys, and says names and microseconds.
    func run(
        keys: Int, rounds: Int, directory: String,
        _ measure: (_ directory: String, _ keys: Int, _ say: (String, Double) -> Void) throws -> Void
    ) throws -> String {
        var order: [String] = []
        var ours: [String: [Double]] = [:]
        var peers: [String: [Double]] = [:]
        for round in 0..<rounds {
            Files.log("\(name): round \(round + 1) of \(rounds), diskcache\n")
            let path = "\(directory)/\(name)-\(round)"
            try Files.makeDirectory(path)
            try measure(path, keys) { name, figure in
                if ours[name] == nil { order.append(name) }
                ours[name, default: []].append(figure)
            }
            Files.log("\(name): round \(round + 1) of \(rounds), python-diskcache\n")
            for (name, figure) in try peer(in: path, keys: keys) { peers[name, default: []].append(figure) }
            try Files.remove(path)
        }
        var text = """
            Microseconds an operation, medians over \(rounds) rounds; \(note).

            | operation | diskcache | python-diskcache | times as fast |
            |---|--:|--:|--:|

            """
        for name in order {
            let mine = Self.median(ours[name] ?? [])
            let peer = peers[name].map(Self.median)
            let ratio = peer.map { "\(Int(($0 / mine).rounded()))" } ?? "-"
            text += "| \(name) | \(Self.rounded(mine)) | \(peer.map(Self.rounded) ?? "-") | \(ratio) |\n"
        }
        return text
    }

    private static func median(_ figures: [Double]) -> Double { figures.sorted()[figures.count / 2] }

    private static func rounded(_ figure: Double) -> String { "\((figure * 1000).rounded() / 1000)" }

    /// Microseconds of each of `count` operations.
    static func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = monotonicNanoseconds()
        try body()
        return Double(monotonicNanoseconds() - start) / 1000 / Double(count)
    }

    /// The peer's figures by name; none where Python or its DiskCache isn't installed.
    private func peer(in directory: String, keys: Int) throws -> [(String, Double)] {
        let source = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let output = "\(directory)/peer.txt"
        let store = "\(directory)/peer"
        try Files.makeDirectory(store)
        setenv("PYTHONPATH", "/\(source)/.build/python", 1)
        let script = "/\(source)/Peers/\(script)"
        guard try Child.run("python3", ["python3", script, store, String(keys), output]) == 0 else {
            Files.log("\(name): python-diskcache isn't there; Benchmarks/setup installs it\n")
            return []
        }
        return try Files.read(output).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let figure = Double(words[1]) else { return nil }
            return (String(words[0]), figure)
        }
    }
}
