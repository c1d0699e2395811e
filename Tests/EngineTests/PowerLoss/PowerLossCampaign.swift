import TestSupport

@testable import DiskCacheEngine

/// Records lives of a store, loses power at many instants of them in every way, and counts what comes back.
final class PowerLossCampaign {
    private(set) var images = 0
    private(set) var nested = 0
    private(set) var events = 0
    private(set) var commits = 0
    private(set) var operations = 0
    /// What went wrong, with what repeats it.
    private(set) var failures: [String] = []
    private var failed: [Damage: Int] = [:]

    private let root: String
    private let system = SystemFiles()
    private var number = 0
    /// Whether each image is announced: for one that kills the process.
    var isTalkative = false
    /// Repeat one case alone.
    var only: (instant: Int, damage: Damage)?

    init() throws {
        root = TestDirectory.parent + "/diskcache-power-" + String(SystemCalls.random(), radix: 36)
        try system.makeDirectory(root, in: nil, mode: 0o700)
    }

    deinit { TestMemory.removeTree(root) }

    private func freshDirectory() throws -> String {
        number += 1
        let path = root + "/\(number)"
        try system.makeDirectory(path, in: nil, mode: 0o700)
        return path
    }

    /// One life, and power losses at each instant of it, or at one in so many, each with `damages` of the damages, in turns.
    func live(
        seed: UInt64, plan: PowerLossActor.Plan, part: (index: Int, of: Int), damages: Int, nestedEvery: Int
    ) throws {
        let directory = try freshDirectory()
        defer { TestMemory.removeTree(directory) }
        let run = try record(
            directory, plan, ReplayableRandom(seed: seed), contents: PowerLossActor.emptyContents(isLarge: plan.isLarge)
        )
        events += run.trace.events.count
        commits += run.begun.count
        let instants = (0...run.trace.events.count).filter { $0 % part.of == part.index }
        operations += plan.operations
        try lose(run, at: instants, boot: "second", seed: seed, damages: damages) { instant, damage, image, found in
            guard nestedEvery > 0, damage.isHonest, instant % nestedEvery == Int(damage.rawValue) % nestedEvery else {
                return
            }
            try self.again(image, found, ReplayableRandom(case: seed, UInt64(instant), damage.rawValue, 2), seed: seed)
        }
    }

    private func record(
        _ directory: String, _ plan: PowerLossActor.Plan, _ dice: ReplayableRandom, contents: PowerLossRun.Contents
    ) throws -> PowerLossRun {
        let files = try RecordingFiles(root: directory, isBound: true)
        #if FAILPOINTS
            FaultPoint.handler = { _ in files.observe() }
            defer { FaultPoint.handler = nil }
        #endif
        let actor = PowerLossActor(files: files, path: directory + "/store", plan: plan, dice: dice, contents: contents)
        return try actor.live()
    }

    /// Power is lost at each of `instants`, in every way; `then` gets a fresh copy of each image that came back right.
    private func lose(
        _ run: PowerLossRun, at instants: [Int], boot: String, seed: UInt64, damages: Int = Damage.allCases.count,
        note: String = "",
        then: (Int, Damage, DiskImage, PowerLossRun.Contents) throws -> Void
    ) throws {
        var honest = DiskModel(run.trace)
        var lying = honest
        var liar = ReplayableRandom(case: seed, 3)
        var done = 0
        for instant in instants {
            while done < instant {
                honest.apply(run.trace.events[done])
                lying.apply(run.trace.events[done], isLie: !liar.oneIn(4))
                done += 1
            }
            let bounds = run.bounds(instant)
            for damage in Self.damages(damages, at: instant) {
                if let only, note.isEmpty, only.instant != instant || only.damage != damage { continue }
                let dice = ReplayableRandom(case: seed, UInt64(instant), damage.rawValue)
                let image = DiskImage(damage.isHonest ? honest : lying, damage, dice)
                images += 1
                if isTalkative { TestMemory.say("seed \(seed), instant \(instant), \(damage)\(note)") }
                let directory = try freshDirectory()
                try write(image, to: directory)
                let check = PowerLossCheck(
                    path: directory + "/store", boot: boot, dice: dice, isHonest: damage.isHonest,
                    keys: run.contents[0].count - 1)
                do {
                    let found = try check.run(run: run, bounds: bounds, isThorough: images % 3 == 0)
                    TestMemory.removeTree(directory)
                    try then(instant, damage, image, found)
                } catch {
                    let text = (error as? PowerLossCheck.Wrong)?.text ?? "\(error)"
                    failed[damage, default: 0] += 1
                    if failures.count < 12 {
                        failures.append("seed \(seed), instant \(instant), \(damage)\(note): \(text)")
                    }
                    TestMemory.removeTree(directory)
                }
            }
        }
    }

    /// So many damages, others at each instant.
    private static func damages(_ count: Int, at instant: Int) -> [Damage] {
        let all = Damage.allCases
        if count >= all.count { return all }
        return (0..<count).map { all[(instant &* 7 &+ $0) % all.count] }
    }

    /// The recovery itself, and a little life after it, are recorded from an image on; power is lost during that as well.
    private func again(_ image: DiskImage, _ found: PowerLossRun.Contents, _ dice: ReplayableRandom, seed: UInt64)
        throws
    {
        let directory = try freshDirectory()
        defer { TestMemory.removeTree(directory) }
        try write(image, to: directory)
        var dice = dice
        let plan = PowerLossActor.Plan(operations: dice.below(6), boot: "second", firstWrite: 500_000)
        let run = try record(directory, plan, dice, contents: found)
        var instants: Set<Int> = []
        let count = run.trace.events.count
        while instants.count < min(4, count) { instants.insert(dice.below(count + 1)) }
        let before = images
        let note = " of a second loss"
        try lose(run, at: instants.sorted(), boot: "third", seed: dice.next(), note: note) { _, _, _, _ in }
        nested += images - before
    }

    private func write(_ image: DiskImage, to directory: String) throws {
        let root = try system.open(directory, in: nil, [.directory])
        for path in image.directories { try system.makeDirectory(path, in: root, mode: 0o700) }
        for file in image.files {
            let made = try system.open(file.path, in: root, [.write, .create])
            if !file.bytes.isEmpty { try system.write(made, file.bytes, at: 0) }
        }
    }

    /// How it went, in lines.
    var summary: String {
        let all =
            "\(images) images, \(nested) of them of a loss during or after a recovery; \(operations) operations, \(events) events, "
        var lines = [all + "\(commits) commits"]
        for damage in Damage.allCases {
            if let count = failed[damage] { lines.append("\(damage): \(count) wrong") }
        }
        return (lines + failures).joined(separator: "\n")
    }
}
