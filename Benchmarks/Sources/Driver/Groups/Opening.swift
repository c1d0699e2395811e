import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// How long a store takes to be there again.
struct Opening: Group {
    let name = "opening"
    let title = "Opening"
    let about = """
        A process opens a store and gets one value: after its last user closed it, with nothing of it in memory, after its writer was \
        killed with SIGKILL, and after `compact` or what the engine has in its place. Of DiskCache also: with the index removed, which \
        is then made again from the log, and in another boot of the system (simulated by another boot id bound over the system's, as \
        root): after a kill under durability `none`, where no record can be believed unseen; then, under `normal`, after a close, and \
        after kills with hints beside the segments and without. Loaded one transaction an operation by those that are fast.
        """

    func run(_ run: Run) throws {
        let contestants = run.contestants(with: [.files, .survivesKill]).filter {
            run.keys <= 1_000_000 || Growth.fastest.contains($0.name)
        }
        try run.turns(contestants, rounds: min(run.rounds, 3)) { contestant, round, path in
            let conditions = Conditions(keys: run.keys)
            let store = "\(path)/store"
            try Files.makeDirectory(store)
            let keys = run.keys
            func open(
                _ label: String, _ wrapper: [String] = [], _ conditions: Conditions = conditions, _ dies: Bool = false
            ) throws {
                let worker = try Worker(contestant, store, conditions, wrapper: wrapper)
                let first = try worker.run(Plan(.get, .uniform, count: 1, keys: keys, seed: UInt64(round)))
                let time = worker.opened.end - worker.opened.begin + first.end - first.begin
                if !label.isEmpty {
                    run.note(
                        Sample(
                            engine: contestant.name, workload: label, round: round, figures: ["opening": Double(time)]))
                }
                // All is there.
                _ = try worker.run(Plan(.get, count: min(1000, keys), keys: keys))
                if dies { try worker.die() } else { try worker.close() }
            }
            let writer = try Worker(contestant, store, conditions)
            let plan = Plan(.set, count: keys, keys: keys)
            if contestant.share == 1 { _ = try writer.run(plan) } else { try writer.ask(.load(plan)) }
            try writer.die()
            try open("after a kill")
            try open("after a close")
            try Files.forget(store)
            try open("cold")
            let compacter = try Worker(contestant, store, conditions)
            _ = try compacter.run(Plan(.overwrite, count: max(20, keys / 10 / contestant.share), keys: keys))
            try compacter.ask(.compact)
            try compacter.close()
            try open("after compact")
            guard contestant.name == "diskcache" else { return }
            for name in try Files.names(in: store) where name.hasPrefix("index.") {
                try Files.remove("\(store)/\(name)")
            }
            try open("index made again")
            if geteuid() == 0 { try bootAgain(contestant, path, keys: run.keys, conditions, open) }
        }
    }

    /// Opens in other boots what was closed or killed.
    private func bootAgain(
        _ contestant: Contestant, _ path: String, keys: Int, _ conditions: Conditions,
        _ open: (_ label: String, _ wrapper: [String], _ conditions: Conditions, _ dies: Bool) throws -> Void
    ) throws {
        let store = "\(path)/store"
        var boots = 0
        func boot() throws -> [String] {
            boots += 1
            let file = "\(path)/boot"
            try Files.write("00000000-0000-0000-0000-00000000000\(boots)\n", to: file)
            let mount = "mount --bind '\(file)' /proc/sys/kernel/random/boot_id && exec \"$0\" \"$@\""
            return ["unshare", "-m", "sh", "-c", mount]
        }
        func hints() throws -> [String] { try Files.names(in: "\(store)/log").filter { $0.hasSuffix(".hint") } }
        do {
            var synced = conditions
            synced.isSyncedSoon = true
            try open("", [], conditions, true)
            try open("another boot, killed under none", try boot(), conditions, false)
            // Whoever is to leave a seal behind has had the store open for a while; and the hints come with a sync.
            let writer = try Worker(contestant, store, synced)
            _ = try writer.run(Plan(.overwrite, count: 1000, keys: keys))
            let patience = monotonicNanoseconds() + UInt64(max(5, keys / 250_000)) * 1_000_000_000
            while monotonicNanoseconds() < patience { usleep(100_000) }
            try writer.close()
            try open("another boot, closed", try boot(), synced, false)
            try open("", [], synced, true)
            try open("another boot, killed, with hints", try boot(), synced, false)
            try open("", [], synced, true)
            for name in try hints() { try Files.remove("\(store)/log/\(name)") }
            try open("another boot, killed, without hints", try boot(), synced, false)
        } catch {
            Files.log("opening: no other boot could be simulated: \(error)\n")
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        let columns = result.columns(result.workloads)
        section.add(
            "\(grouped(result.keys)) keys of 16 bytes, values of 100; opening and the first `get`, ms:",
            result.table("opening", .millis, columns: columns))
        if let time = result.spread("opening", "diskcache", "index made again") {
            section.say(
                "The index is made again at \(significant(Double(result.keys) / time.median * 1000)) million keys a second."
            )
        }
    }
}
