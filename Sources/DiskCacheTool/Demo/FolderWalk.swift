/// The regular files under a folder, and what was left out.
///
/// Left out: links, pipes and the like, folders named `.git` and `.build`, other file systems, and what can't be read.
struct FolderWalk: CustomStringConvertible {
    /// What was left out and why, in words, with how many there were.
    private(set) var skipped: [(what: String, count: Int)] = []
    /// Paths relative to the folder, in the order of their bytes within each folder.
    private(set) var files: [[UInt8]] = []

    /// Walks a folder; throws if it can't be read itself.
    init(_ folder: [UInt8]) throws {
        let status = try Platform.status(folder, followingLinks: true)
        guard status.kind == .folder else {
            throw Platform.Failure.notFolder(folder)
        }
        var waiting: [[UInt8]] = [[]]
        while let relative = waiting.popLast() {
            let names: [[UInt8]]
            do {
                names = try Platform.names(in: relative.isEmpty ? folder : folder + [Platform.slash] + relative)
            } catch let error as Platform.Failure where !relative.isEmpty && error.isAbsence {
                count("unreadable folders")
                continue
            }
            for name in names {
                let path = relative.isEmpty ? name : relative + [Platform.slash] + name
                guard let found = try? Platform.status(folder + [Platform.slash] + path) else {
                    count("files that went away")
                    continue
                }
                switch found.kind {
                case .regular: files.append(path)
                case .link: count("links")
                case .other: count("pipes, sockets and devices")
                case .folder:
                    if found.device != status.device {
                        count("folders on other file systems")
                    } else if Self.isIgnored(name) {
                        count("folders of tools (.git, .build)")
                    } else {
                        waiting.append(path)
                    }
                }
            }
        }
    }

    /// What was left out, in words.
    var description: String {
        skipped.isEmpty ? "0" : skipped.map { "\(grouped($0.count)) \($0.what)" }.joined(separator: ", ")
    }

    /// Counts something as left out.
    mutating func count(_ what: String, _ number: Int = 1) {
        if number == 0 { return }
        if let index = skipped.firstIndex(where: { $0.what == what }) {
            skipped[index].count += number
        } else {
            skipped.append((what, number))
        }
    }

    private static func isIgnored(_ name: [UInt8]) -> Bool {
        [".git", ".build"].contains { Array($0.utf8) == name } || name.starts(with: Array(DemoFolder.prefix.utf8))
    }
}
