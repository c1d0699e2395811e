import TestSupport

/// What a power loss does to what wasn't synced.
enum Damage: UInt64, CaseIterable {
    /// Everything had been written back.
    case written
    /// Nothing but what was synced.
    case synced
    /// Each page, length and name in any of its versions.
    case subset
    /// Some files wholly written, some as of an earlier instant, some not at all.
    case files
    /// All content, but names made, moved and removed only in part.
    case names
    /// Names and lengths are there, content is missing.
    case grown
    /// Pages whose sectors of 512 bytes come from different versions.
    case torn
    /// A sector of a page that was being written holds anything.
    case garbage
    /// The log is whole; `meta` and the index are in any state.
    case views
    /// The disk has lied about syncs, and lost what it had said was safe.
    case lying

    /// Whether what was acknowledged as durable must be there.
    var isHonest: Bool { self != .lying }
}

/// A directory tree as it may be after a power loss.
struct DiskImage {
    struct File {
        let path: String
        let bytes: [UInt8]
    }
    private(set) var directories: [String] = []
    private(set) var files: [File] = []

    private let model: DiskModel
    private let damage: Damage
    private var dice: ReplayableRandom
    /// How likely the newest version is, in percent; of one image each.
    private let freshness: Int
    /// The file that was being written when power was lost.
    private let victim: Int?
    private static let sector = 512

    init(_ model: DiskModel, _ damage: Damage, _ dice: ReplayableRandom) {
        self.model = model
        self.damage = damage
        self.dice = dice
        freshness = self.dice.below(3) * 40 + 10
        let written = model.nodes.indices.filter { !model.nodes[$0].dirtyPages.isEmpty }
        victim = written.isEmpty ? nil : written[self.dice.below(written.count)]
        fill(0, "", path: [])
    }

    private mutating func fill(_ directory: Int, _ prefix: String, path: Set<Int>) {
        for (name, node) in entries(of: directory) {
            // A directory that was moved may show up inside itself where only half of the move is there.
            if path.contains(node) { continue }
            if model.nodes[node].isDirectory {
                directories.append(prefix + name)
                fill(node, prefix + name + "/", path: path.union([directory]))
            } else {
                files.append(File(path: prefix + name, bytes: content(node, name: name)))
            }
        }
    }

    // MARK: Choices

    /// Which of so many versions: 0 is the durable one.
    private mutating func anyStep(_ count: Int) -> Int {
        if count == 0 { return 0 }
        if dice.below(100) < freshness { return count }
        return dice.below(count + 1)
    }

    private mutating func entries(of directory: Int) -> [(String, Int)] {
        var found: [(String, Int)] = []
        for name in model.nodes[directory].entries.keys.sorted() {
            guard let versions = model.nodes[directory].entries[name] else { continue }
            var step: Int
            switch damage {
            case .written, .grown, .torn, .garbage, .views: step = versions.later.count
            case .synced: step = 0
            case .subset, .files, .names, .lying: step = anyStep(versions.later.count)
            }
            // What a rename took away is gone only where the rename put it.
            while step > 0, let target = versions[step].movedTo, !isThere(target, versions[step - 1].node) { step -= 1 }
            if let node = versions[step].node { found.append((name, node)) }
        }
        return found
    }

    /// Whether a name surely stands for a node, or no longer does because of something later.
    private func isThere(_ place: Trace.Name, _ node: Int?) -> Bool {
        guard let node, let versions = model.nodes[place.directory].entries[place.name] else { return true }
        return !versions.later.contains { $0.value.node == node } || damage == .written
            || [.grown, .torn, .garbage, .views].contains(damage)
    }

    // MARK: Content

    private mutating func content(_ number: Int, name: String) -> [UInt8] {
        let node = model.nodes[number]
        let dirty = node.dirtyPages.sorted()
        let isView = name == "meta" || name.hasPrefix("index.") || name.hasPrefix("trees.")
        var size = node.size.newest
        var steps: [Int: Int] = [:]
        switch damage {
        case .written, .names, .torn, .garbage:
            for page in dirty { steps[page] = .max }
        case .synced:
            size = node.size.durable
        case .subset, .lying:
            size = node.size[anyStep(node.size.later.count)]
            for page in dirty { steps[page] = anyStep(node.pages[page]!.later.count) }
        case .files:
            let mode = dice.below(3)
            let instant = dice.below(model.count + 1)
            size = node.size[mode == 0 ? node.size.later.count : mode == 1 ? node.size.step(before: instant) : 0]
            for page in dirty {
                steps[page] = mode == 0 ? .max : mode == 1 ? node.pages[page]!.step(before: instant) : 0
            }
        case .grown:
            for page in dirty { steps[page] = dice.oneIn(2) ? .max : 0 }
        case .views:
            for page in dirty { steps[page] = isView ? anyStep(node.pages[page]!.later.count) : .max }
        }
        var bytes = [UInt8](repeating: 0, count: size)
        let count = (size + Trace.pageSize - 1) / Trace.pageSize
        for (page, versions) in node.pages where page < count {
            let step = min(steps[page] ?? 0, versions.later.count)
            Self.copy(versions[step], into: &bytes, at: page * Trace.pageSize)
        }
        switch damage {
        case .torn: tear(node, dirty, &bytes)
        case .garbage: if number == victim { spoil(node, dirty, &bytes, onlyChanged: name.hasSuffix(".seg")) }
        case .views: if name.hasPrefix("index."), !bytes.isEmpty { scramble(&bytes) }
        default: break
        }
        return bytes
    }

    private static func copy(_ source: [UInt8], into bytes: inout [UInt8], at offset: Int) {
        let count = min(source.count, bytes.count - offset)
        source.withUnsafeBytes { from in
            bytes.withUnsafeMutableBytes { to in
                to.baseAddress?.advanced(by: offset).copyMemory(from: from.baseAddress!, byteCount: count)
            }
        }
    }

    /// Up to three pages, each sector of them in any version.
    private mutating func tear(_ node: DiskModel.Node, _ dirty: [Int], _ bytes: inout [UInt8]) {
        guard !dirty.isEmpty else { return }
        for _ in 0..<3 {
            let page = dirty[dice.below(dirty.count)]
            guard let versions = node.pages[page] else { continue }
            for sector in 0..<Trace.pageSize / Self.sector {
                let offset = sector * Self.sector
                let piece = Array(versions[dice.below(versions.later.count + 1)][offset..<offset + Self.sector])
                if page * Trace.pageSize + offset < bytes.count {
                    Self.copy(piece, into: &bytes, at: page * Trace.pageSize + offset)
                }
            }
        }
    }

    /// Anything in a sector of a page in flight. Where only what changed may be hit, bytes that were durable stay: a drive that
    /// loses power doesn't harm what it isn't given other bytes for.
    private mutating func spoil(
        _ node: DiskModel.Node, _ dirty: [Int], _ bytes: inout [UInt8], onlyChanged: Bool
    ) {
        guard !dirty.isEmpty else { return }
        let page = dirty[dice.below(dirty.count)]
        guard let versions = node.pages[page] else { return }
        let newest = versions.newest
        let changed = (0..<Trace.pageSize / Self.sector).filter { sector in
            let range = sector * Self.sector..<(sector + 1) * Self.sector
            return versions.durable[range] != newest[range]
        }
        guard !changed.isEmpty else { return }
        let sector = changed[dice.below(changed.count)]
        for index in sector * Self.sector..<(sector + 1) * Self.sector where page * Trace.pageSize + index < bytes.count
        {
            if onlyChanged && versions.durable[index] == newest[index] { continue }
            bytes[page * Trace.pageSize + index] = UInt8(truncatingIfNeeded: dice.next())
        }
    }

    private mutating func scramble(_ bytes: inout [UInt8]) {
        for _ in 0..<64 { bytes[dice.below(bytes.count)] = UInt8(truncatingIfNeeded: dice.next()) }
    }
}
