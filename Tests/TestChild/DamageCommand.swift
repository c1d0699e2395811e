import DiskCacheEngine
import TestSupport

/// `damage`: makes a small store, closes it, and then again and again damages one thing in it, opens it, reads all of it and puts
/// it back. In a process of its own, so that whoever started it can tell a trap or a hang from an error.
///
/// After each damage it says its number; what is wrong it says on a line of its own, with `wrong` at its beginning.
enum DamageCommand {
    enum Damage: CustomStringConvertible {
        case bit(file: Int, offset: Int, bit: Int)
        case truncated(file: Int, to: Int)
        case zeroed(file: Int, sector: Int)
        case deleted(file: Int)
        case directory(file: Int)
        case link(file: Int)
        case swapped(Int, Int)
        case copied(from: Int, to: Int)

        var description: String {
            switch self {
            case .bit(let file, let offset, let bit): return "bit \(bit) of byte \(offset) of file \(file)"
            case .truncated(let file, let size): return "file \(file) cut to \(size) bytes"
            case .zeroed(let file, let sector): return "512 bytes from \(sector) of file \(file) zeroed"
            case .deleted(let file): return "file \(file) deleted"
            case .directory(let file): return "file \(file) a directory"
            case .link(let file): return "file \(file) a symbolic link"
            case .swapped(let a, let b): return "files \(a) and \(b) swapped"
            case .copied(let from, let to): return "file \(to) a copy of file \(from)"
            }
        }
    }

    static func run(_ arguments: Arguments) throws {
        let site = try DamageSite(
            arguments.text("directory"), segments: arguments.number("segments", default: 1),
            durability: Durability.allCases[arguments.number("durability", default: 1)])
        let damages = arguments.text("kind") == "bits" ? site.bits : site.others
        let parts = arguments.number("parts", default: 1)
        let step = arguments.number("step", default: 1)
        TestChild.say("\(damages.count) \(site.names.enumerated().map { "\($0)=\($1)" })")
        for number in stride(from: arguments.number("from"), to: damages.count, by: 1)
        where number % parts == arguments.number("part") && number / parts % step == 0 {
            try site.apply(damages[number])
            for problem in site.examine(writes: arguments.text("kind") != "bits" || number % 16 == 0) {
                TestChild.say("wrong \(number) \(damages[number]): \(problem)")
            }
            try site.restore()
            TestChild.say("\(number)")
        }
    }
}

/// A store, what it must hold, and what its files held when it was closed.
struct DamageSite {
    private let root: String
    private let store: String
    private let files = SystemFiles()
    private var contents: [[UInt8]] = []
    private(set) var names: [String] = []
    private var expected: [String: StoredValue?] = [:]

    init(_ root: String, segments: Int, durability: Durability) throws {
        self.root = root
        store = root + "/store"
        try files.makeDirectory(root, in: nil, mode: 0o700)
        try files.makeDirectory(root + "/kept", in: nil, mode: 0o700)
        var options = StoreOptions()
        options.windowSize = 64 << 20
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in
            settings.minFileSize = 300
            settings.durability = durability
        }
        let client = StoreClient(try StoreHandle(directory: store, options: options))
        func set(_ key: String, _ size: Int, _ index: Int) throws {
            let value = TestValue.make(key: key, writer: 0, index: index, part: 0, size: size)
            try client.set(key, value)
            expected[key] = .some(.bytes(value))
        }
        for segment in 0..<segments {
            for number in 0..<3 {
                try set("plain \(segment) \(number)", 20 + number * 7, 1)
                try set("overwritten \(segment) \(number)", 30, 1)
                try set("overwritten \(segment) \(number)", 41, 2)
                try set("deleted \(segment) \(number)", 25, 1)
                try client.delete("deleted \(segment) \(number)")
                expected["deleted \(segment) \(number)"] = .some(nil)
                try client.add("counter \(segment) \(number)", Int64(number))
                try client.add("counter \(segment) \(number)", 1000)
                expected["counter \(segment) \(number)"] = .some(.integer(Int64(number) + 1000))
            }
            // Another segment begins when this one is full.
            if segment + 1 < segments { for number in 0..<220 { try set("filling \(segment) \(number)", 230, 1) } }
        }
        try set("file", 400, 1)
        try set("file", 500, 2)
        client.handle.close()
        names = TestDirectory.filesBelow(store)
        for (number, name) in names.enumerated() {
            contents.append(try TestDirectory.content(store + "/" + name))
            let directory = try files.open(root, in: nil, [.directory])
            try files.link("store/" + name, to: "kept/\(number)", in: directory)
        }
    }

    /// Every bit of every 64 bytes in which any bit is set; of the rest, one bit in every 64 bytes.
    var bits: [DamageCommand.Damage] {
        var all: [DamageCommand.Damage] = []
        for (file, content) in contents.enumerated() {
            for line in stride(from: 0, to: content.count, by: 64) {
                let end = min(line + 64, content.count)
                if content[line..<end].contains(where: { $0 != 0 }) {
                    for offset in line..<end {
                        for bit in 0..<8 { all.append(.bit(file: file, offset: offset, bit: bit)) }
                    }
                } else {
                    all.append(.bit(file: file, offset: line + line / 64 % 64, bit: line / 64 % 8))
                }
            }
        }
        return all
    }

    var others: [DamageCommand.Damage] {
        var all: [DamageCommand.Damage] = []
        for (file, content) in contents.enumerated() {
            for size in stride(from: 0, to: content.count, by: 512) { all.append(.truncated(file: file, to: size)) }
            if content.count > 130 {
                for size in [1, 127, 128, 129, content.count - 1] { all.append(.truncated(file: file, to: size)) }
            }
            for sector in stride(from: 0, to: content.count, by: 512)
            where content[sector..<min(sector + 512, content.count)].contains(where: { $0 != 0 }) {
                all.append(.zeroed(file: file, sector: sector))
            }
            all += [.deleted(file: file), .directory(file: file), .link(file: file)]
        }
        let segments = names.indices.filter { names[$0].hasPrefix("log/") }
        for a in segments {
            for b in segments where a < b { all += [.swapped(a, b), .copied(from: a, to: b), .copied(from: b, to: a)] }
        }
        return all
    }

    private func path(_ file: Int) -> String { store + "/" + names[file] }

    private func write(_ file: Int, _ bytes: [UInt8]) throws {
        let opened = try files.open(path(file), in: nil, [.write])
        try files.truncate(opened, to: bytes.count)
        try files.write(opened, bytes, at: 0)
    }

    func apply(_ damage: DamageCommand.Damage) throws {
        switch damage {
        case .bit(let file, let offset, let bit):
            let opened = try files.open(path(file), in: nil, [.write])
            try files.write(opened, [contents[file][offset] ^ UInt8(1 << bit)], at: offset)
        case .truncated(let file, let size):
            try files.truncate(files.open(path(file), in: nil, [.write]), to: size)
        case .zeroed(let file, let sector):
            let count = min(512, contents[file].count - sector)
            try files.write(files.open(path(file), in: nil, [.write]), [UInt8](repeating: 0, count: count), at: sector)
        case .deleted(let file):
            try files.unlink(path(file), in: nil, isDirectory: false)
        case .directory(let file):
            try files.unlink(path(file), in: nil, isDirectory: false)
            try files.makeDirectory(path(file), in: nil, mode: 0o700)
        case .link(let file):
            try files.unlink(path(file), in: nil, isDirectory: false)
            SystemState.makeLink(path(file), to: root + "/kept/\(file)")
        case .swapped(let a, let b):
            try write(a, contents[b])
            try write(b, contents[a])
        case .copied(let from, let to):
            try write(to, contents[from])
        }
    }

    /// Puts every file back: the same inode with the same bytes, and nothing else.
    func restore() throws {
        for name in TestDirectory.filesBelow(store) where !names.contains(name) {
            TestDirectory.remove(store + "/" + name)
        }
        let directory = try files.open(root, in: nil, [.directory])
        for (number, name) in names.enumerated() {
            let kept = try files.status(of: "kept/\(number)", in: directory)
            let present = try files.status(of: "store/" + name, in: directory)
            if present?.inode != kept?.inode {
                TestDirectory.remove(store + "/" + name)
                let parts = name.split(separator: "/").dropLast()
                for count in parts.indices {
                    try? files.makeDirectory(store + "/" + parts[...count].joined(separator: "/"), in: nil, mode: 0o700)
                }
                try files.link("kept/\(number)", to: "store/" + name, in: directory)
            }
            try write(number, contents[number])
        }
    }

    /// Opens the damaged store, reads and writes. What must not be; nothing if all is well.
    func examine(writes: Bool) -> [String] {
        var problems: [String] = []
        do throws(EngineError) {
            let client = try StoreClient(asItIs: store)
            let report = try client.handle.withStore { (store) throws(EngineError) in store.recovery }
            var isReported = report.map { !$0.quarantined.isEmpty || !$0.gaps.isEmpty || $0.cut != nil } ?? false
            for (key, value) in expected {
                let found: StoredValue?
                do throws(EngineError) {
                    found = try client.get(key)
                } catch {
                    continue
                }
                if found == value { continue }
                if found == nil {
                    if !isReported {
                        isReported = try client.handle.withStore { (store) throws(EngineError) in
                            try !store.check(timeout: StoreClient.timeout).isEmpty
                        }
                    }
                    if isReported { continue }
                    problems.append("\(key) is gone, and nothing says so")
                } else if let found {
                    problems.append("\(key) is \(found); report \(report.map { "\($0)" } ?? "none")")
                }
            }
            if writes { problems += write(client) }
            client.handle.close()
        } catch {
            if error.message.isEmpty { problems.append("an error without a message") }
        }
        return problems
    }

    /// A damaged store may refuse to be written to; what it accepts it must give back.
    private func write(_ client: StoreClient) -> [String] {
        for key in ["new", "plain 0 1", "overwritten 0 2", "deleted 0 0"] {
            let value = TestValue.make(key: key, writer: 9, index: 9, part: 9, size: 50)
            var isStored = false
            do throws(EngineError) {
                try client.set(key, value)
                isStored = true
                if try client.get(key) != .bytes(value) { return ["\(key) was stored, and something else is read"] }
            } catch {
                if isStored { return ["\(key) was stored, and then: \(error.message)"] }
            }
        }
        return []
    }
}
