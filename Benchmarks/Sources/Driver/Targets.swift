import Harness

/// The figures that this engine is to reach, beside those that it did.
enum Targets {
    private struct Row {
        let what: String
        let wanted: String
        let measured: String
        let isReached: Bool?
    }

    /// The table, from the results of the groups by name.
    static func table(_ results: [String: GroupResult]) -> String {
        var table = Table(["figure", "at least", "measured", "reached"])
        for row in rows(results) {
            table.add([
                row.what, row.wanted, row.measured, row.isReached.map { $0 ? "yes" : "**no**" } ?? "not measured",
            ])
        }
        return table.text
    }

    private static func rows(_ results: [String: GroupResult]) -> [Row] {
        var rows: [Row] = []
        let basic = results["basic"]

        /// How many times as long a peer takes.
        func faster(
            _ what: String, _ workload: String, than peer: String, by factor: Double, _ result: GroupResult?,
            figure: String = Figure.mean, own: String = "diskcache"
        ) {
            let ratio = result?.ratio(figure, peer, to: own, workload)
            rows.append(
                Row(
                    what: what, wanted: "\(significant(factor)) ×",
                    measured: ratio.map(spread) ?? "", isReached: ratio.map { $0.median >= factor }))
        }
        /// A figure that is to be at most so much.
        func atMost(_ what: String, _ wanted: String, _ value: Double?, _ limit: Double, _ text: (Double) -> String) {
            rows.append(
                Row(what: what, wanted: wanted, measured: value.map(text) ?? "", isReached: value.map { $0 <= limit }))
        }
        func times(_ value: Double) -> String { "\(significant(value)) ×" }
        func spread(_ ratio: Spread) -> String {
            "\(significant(ratio.median)) × (\(significant(ratio.least)) to \(significant(ratio.greatest)))"
        }

        let get = Verb.get.name
        for (peer, factor) in [
            ("python-diskcache", 25.0), ("sqlite", 12), ("grdb", 12), ("lmdb-nosync", 2), ("tkrzw-hash", 1.4),
        ] {
            faster("`get` hit, beside `\(peer)`, means", get, than: peer, by: factor, basic)
            if peer == "lmdb-nosync" || peer == "tkrzw-hash" {
                faster(
                    "`get` hit, beside `\(peer)`, medians", get, than: peer, by: factor, basic, figure: Figure.median)
            }
        }
        for figure in [Figure.mean, Figure.median] {
            atMost(
                "`get` hit against the floor, \(figure)", "within 1.2 ×",
                basic?.ratio(figure, "diskcache", to: "floor", get)?.median, 1.2, times)
        }
        for (peer, factor) in [
            ("python-diskcache", 150.0), ("lmdb-writemap", 3.5), ("rocksdb", 10), ("leveldb", 5), ("tkrzw-hash", 1.2),
        ] {
            for verb in [Verb.set, .overwrite] {
                // Python's syncs at its checkpoints, so ours syncs in the background.
                let own = peer == "python-diskcache" ? "diskcache-normal" : "diskcache"
                faster(
                    "`set`, \(verb == .set ? "new" : "overwrite"), beside `\(peer)`", verb.name, than: peer, by: factor,
                    basic, own: own)
            }
        }
        let writers = results["writers"]
        func againstAlone(_ workload: String) -> Double? {
            guard let writers, let mean = writers.spread(Figure.mean, "diskcache", workload),
                let alone = writers.spread(Figure.mean, "diskcache", "alone")
            else { return nil }
            return mean.median / alone.median
        }
        atMost(
            "`set` when another process has the store open, idle, against alone", "within 1.2 ×",
            againstAlone("another has it open"), 1.2, times)
        atMost(
            "two processes writing in turn: a `set` of each against one alone", "2 ×", againstAlone("one of two"), 2,
            times)
        let share = writers?.spread("share", "diskcache", "one of two")
        rows.append(
            Row(
                what: "… and fair: the slower's share of the faster's", wanted: "90 %",
                measured: share.map { "\(significant($0.median * 100)) %" } ?? "",
                isReached: share.map { $0.median >= 0.9 }))
        faster("`push`, beside `python-diskcache`", Verb.push.name, than: "python-diskcache", by: 80, basic)
        faster("`pull`, beside `python-diskcache`", Verb.pull.name, than: "python-diskcache", by: 80, basic)
        faster(
            "sorted keys, beside `python-diskcache` with 20,000", "keys-sorted", than: "python-diskcache", by: 100,
            results["beyond"])
        faster("sorted keys, beside `lmdb-nosync`", Verb.scanSorted.name, than: "lmdb-nosync", by: 0.5, basic)
        for policy in ["least-recently-stored", "least-recently-used", "least-frequently-used"] {
            faster(
                "`set` at a full cache, \(policy)", "set, \(policy)", than: "python-diskcache", by: 50, results["full"])
        }
        let shared = results["shared"]
        for (figure, name) in [(Figure.percentile99, "99 %"), (Figure.maximum, "the longest")] {
            let peer = shared?.spread(figure, "python-diskcache-fanout", "set", x: 8)
            for engine in ["diskcache", "diskcache-fanout"] {
                let own = shared?.spread(figure, engine, "set", x: 8)
                var ratio: Double?
                if let peer, let own { ratio = peer.median / max(1, own.median) }
                rows.append(
                    Row(
                        what: "DiskCache's mix, 8 processes, `set`, \(name), `\(engine)` beside Python's `FanoutCache`",
                        wanted: "10 ×", measured: ratio.map(times) ?? "", isReached: ratio.map { $0 >= 10 }))
            }
        }
        let scaling = results["scaling"]
        let two = scaling?.spread(Figure.rate, "diskcache", "get, threads", x: 2)
        let one = scaling?.spread(Figure.rate, "diskcache", "get, threads", x: 1)
        var factor: Double?
        if let two, let one { factor = two.median / one.median }
        rows.append(
            Row(
                what: "`get` by 2 threads against 1", wanted: "1.9 ×", measured: factor.map(times) ?? "",
                isReached: factor.map { $0 >= 1.9 }))
        atMost(
            "bytes on disk an entry after compaction, of the payload", "1.35 ×",
            results["space"]?.spread(Figure.space, "diskcache", "at random, closed")?.median, 1.35, times)
        for (_, label) in Space.orders {
            let ratio = results["space"]?.ratio(
                Figure.percentile999, "diskcache", to: "diskcache-uncompacted", "\(label), \(Space.besideCompaction)")
            rows.append(
                Row(
                    what: "99.9 % of writers beside compaction, of what it is without, overwriting \(label)",
                    wanted: "within 2 ×", measured: ratio.map(spread) ?? "", isReached: ratio.map { $0.median <= 2 }))
        }
        let opening = results["opening"]
        let keys = opening?.keys ?? 0
        atMost(
            "reopen after kill -9, \(grouped(keys)) keys", "10 ms",
            opening?.spread("opening", "diskcache", "after a kill")?.median, 10_000_000
        ) { "\(Format.millis.text($0)) ms" }
        let rebuilt = opening?.spread("opening", "diskcache", "another boot, killed under none")
        let rate = rebuilt.map { Double(keys) / $0.median * 1000 }
        rows.append(
            Row(
                what: "rebuild after a boot change, million keys a second", wanted: "2.5",
                measured: rate.map { significant($0) } ?? "", isReached: rate.map { $0 >= 2.5 }))
        let growth = results["growth"]
        let longest = growth?.histogram("diskcache", Verb.set.name).map { Double($0.maximum) }
        let bare = growth?.histogram("(clock loop)", Verb.set.name).map { Double($0.maximum) }
        var beyond: Double?
        if let longest, let bare { beyond = max(0, longest - bare) }
        atMost(
            "longest pause of a `set` while growing to \(grouped(growth?.keys ?? 0)) keys, beyond a bare clock loop's",
            "5 ms",
            beyond, 5_000_000
        ) { "\(Format.millis.text($0)) ms" }
        let cleared = results["beyond"]?.spread(Figure.mean, "diskcache", "clear, as a whole")
        atMost("`clear`, \(grouped((results["beyond"]?.keys ?? 0) / 2)) keys", "1 ms", cleared?.median, 1_000_000) {
            "\(Format.millis.text($0)) ms"
        }
        let costs = results["costs"]
        for verb in [Verb.get, .borrow, .array] {
            atMost(
                "system calls, `\(verb.name)`", "0", costs?.spread("system calls", "diskcache", verb.name)?.median,
                0.0005
            ) { $0 < 0.0005 ? "0" : significant($0) }
        }
        atMost(
            "allocations, `withValue` (`\(Verb.borrow.name)`)", "0",
            costs?.spread("allocations", "diskcache", Verb.borrow.name)?.median, 0.0005
        ) { $0 < 0.0005 ? "0" : significant($0) }
        return rows
    }
}
