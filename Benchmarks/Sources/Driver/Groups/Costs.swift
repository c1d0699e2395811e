import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What an operation costs whatever else the machine does: instructions, allocations, system calls, bytes written.
struct Costs: Group {
    let name = "costs"
    let title = "Costs that are counted"
    let about = """
        Counts an operation, in a process of its own with one thread of work: instructions and allocations as valgrind's callgrind counts them \
        in the working thread, its system calls as strace sees them, bytes written as the system counts what the process makes \
        dirty. They include the loop and the work on the key, some 30 instructions, and hardly change from run to run; \
        `.ci/run` holds this engine to `Thresholds/costs.txt`. A scan's counts are those of one key. What an engine makes when an \
        order is first asked for is made before, uncounted.
        """
    let keys = 20_000

    static let figures = ["instructions", "allocations", "system calls", "bytes written"]
    /// Ranges come late, since the order that they ask for is kept up from then on; numbers come after them, since they aren't values of bytes.
    private static let verbs: [Verb] = [
        .set, .get, .borrow, .array, .miss, .overwrite, .push, .pull, .delete, .range, .scanSorted, .scanInsertion,
        .incr,
    ]
    private static let ordered: Set<Verb> = [.range, .scanSorted, .scanInsertion]

    /// How often a plan is to do its verb in a store of `keys`.
    private static func count(_ verb: Verb, keys: Int) -> Int {
        switch verb {
        case .range: 200
        case .scanSorted, .scanInsertion: 1
        case .delete: keys / 10
        default: keys
        }
    }

    /// What a plan's counts are divided by: a scan meets the keys that are left.
    private static func operations(_ plan: Plan) -> Double {
        switch plan.firstVerb {
        case .scanSorted, .scanInsertion: Double(plan.keys - count(.delete, keys: plan.keys))
        default: Double(plan.count)
        }
    }

    /// The plans for a verb, of which the last one counts: one before has an order made.
    private static func plans(_ verb: Verb, keys: Int) -> [Plan] {
        let plan = Plan(verb, count: count(verb, keys: keys), keys: keys)
        return ordered.contains(verb) ? [Plan(verb, count: 1, keys: keys), plan] : [plan]
    }

    func run(_ run: Run) throws {
        let contestants =
            run.contestants(with: .files).filter { $0.name != "python-diskcache" }
            + run.contestants.filter { $0.name == "floor" }
        try run.turns(contestants, rounds: 1) { contestant, round, path in
            let conditions = Conditions(keys: run.keys)
            let verbs = Self.verbs.filter { contestant.verbs.contains($0) }
            let plans = verbs.flatMap { Self.plans($0, keys: run.keys) }
            var found: [[String: Double]] = plans.map { _ in [:] }

            try Files.makeDirectory("\(path)/plain")
            let worker = try Worker(contestant, "\(path)/plain", conditions)
            for (index, plan) in plans.enumerated() {
                found[index]["bytes written"] = Double(try worker.run(plan).written) / Self.operations(plan)
            }
            try worker.close()

            try Files.makeDirectory("\(path)/strace")
            let trace = "\(path)/trace.txt"
            try traced(contestant, "\(path)/strace", conditions, plans, ["strace", "-f", "-qq", "-o", trace])
            for (index, count) in try Self.systemCalls(Files.read(trace)).enumerated() where index < plans.count {
                found[index]["system calls"] = Double(count) / Self.operations(plans[index])
            }

            try Files.makeDirectory("\(path)/callgrind")
            let output = "\(path)/callgrind.out"
            try traced(
                contestant, "\(path)/callgrind", conditions, plans,
                [
                    "valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=bench_traced_steps",
                    "--dump-after=bench_traced_steps", "--callgrind-out-file=\(output)",
                ])
            for (index, plan) in plans.enumerated() {
                let counts = try Self.counts(ofCallgrind: Files.read("\(output).\(index + 1)"))
                found[index]["instructions"] = Double(counts.instructions) / Self.operations(plan)
                found[index]["allocations"] = Double(counts.allocations) / Self.operations(plan)
            }
            for (index, (plan, figures)) in zip(plans, found).enumerated() {
                if index + 1 < plans.count, plans[index + 1].firstVerb == plan.firstVerb { continue }
                run.note(
                    Sample(engine: contestant.name, workload: plan.firstVerb.name, round: round, figures: figures))
            }
        }
    }

    private func traced(
        _ contestant: Contestant, _ path: String, _ conditions: Conditions, _ plans: [Plan], _ wrapper: [String]
    ) throws {
        let worker = try Worker(contestant, path, conditions, wrapper: wrapper)
        for plan in plans { try worker.ask(.trace(plan)) }
        try worker.close()
    }

    /// System calls between each pair of marks that a worker leaves in a trace, of the thread that left them: what background threads do
    /// meanwhile depends on how long it takes.
    static func systemCalls(_ trace: String) -> [Int] {
        var counts: [Int] = []
        var thread: Substring?
        for line in trace.split(separator: "\n") {
            let caller = line.prefix { $0 != " " }
            if line.contains("\"/trace-begins/") {
                counts.append(0)
                thread = caller
            } else if line.contains("\"/trace-ends\"") {
                thread = nil
            } else if caller == thread, !line.contains("resumed>") {
                counts[counts.count - 1] += 1
            }
        }
        return counts
    }

    /// The instructions in a file of callgrind's, and the calls of functions that allocate.
    static func counts(ofCallgrind text: String) -> (instructions: Int, allocations: Int) {
        let allocating: Set = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"]
        var numbers: Set<Substring> = []
        var instructions = 0
        var allocations = 0
        var callsAllocation = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("totals: ") || line.hasPrefix("summary: ") {
                instructions = max(instructions, line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
            } else if line.hasPrefix("fn=(") || line.hasPrefix("cfn=(") {
                // A function's name stands beside its number where it is first mentioned.
                let rest = line[line.firstIndex(of: "(")!...]
                let number = rest.prefix { $0 != ")" }
                let name = rest.dropFirst(number.count + 1).drop { $0 == " " }
                if allocating.contains(String(name.prefix { $0 != "'" })) { numbers.insert(number) }
                if line.hasPrefix("c") { callsAllocation = numbers.contains(number) }
            } else if line.hasPrefix("calls="), callsAllocation {
                allocations += Int(line.dropFirst(6).prefix { $0 != " " }) ?? 0
                callsAllocation = false
            }
        }
        return (instructions, allocations)
    }

    /// What of this engine's costs is above `thresholds`: a line a verb, its name, a limit for each of `figures`, `-` for none.
    static func excesses(_ result: GroupResult, thresholds: String) -> [String] {
        var excesses: [String] = []
        var checked = 0
        for line in thresholds.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == figures.count + 1 else {
                excesses.append("thresholds: not understood: \(line)")
                continue
            }
            for (figure, word) in zip(figures, words.dropFirst()) where word != "-" {
                guard let limit = Double(word), let value = result.spread(figure, "diskcache", words[0])?.median else {
                    excesses.append("\(words[0]): \(figure) wasn't counted")
                    continue
                }
                checked += 1
                if value > limit { excesses.append("\(words[0]): \(significant(value)) \(figure), at most \(word)") }
            }
        }
        if checked == 0 { excesses.append("thresholds: nothing was checked") }
        return excesses
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for figure in Self.figures {
            section.add(
                "\(figure.prefix(1).uppercased())\(figure.dropFirst()) an operation:",
                result.table(figure, Format { $0 < 0.0005 ? "0" : significant($0) }, columns: result.columns()))
        }
    }
}
