import DiskCacheCore
import DiskCacheEngine

/// What the demo's other processes do. They never start any: a process that finds itself marked does what the mark says and ends.
struct DemoChild {
    static let roleVariable = "DISKCACHE_DEMO_ROLE"
    static let folderVariable = "DISKCACHE_DEMO_FOLDER"
    static let sourceVariable = "DISKCACHE_DEMO_SOURCE"
    static let partVariable = "DISKCACHE_DEMO_PART"

    /// The mark; nil: this process is nobody's child.
    static var role: [UInt8]? { Platform.environment(roleVariable) }

    /// Files of up to this size are read as a whole.
    private static let wholeLimit = 1 << 20

    private let folder: DemoFolder
    private let source: [UInt8]
    private let part: Int
    private let parts: Int
    private let cache: Cache

    /// Does what the role says.
    static func run(_ role: [UInt8]) -> ExitCode {
        Platform.resetSignals()
        do {
            guard let role = DemoRole(rawValue: String(decoding: role, as: UTF8.self)),
                let folder = Platform.environment(folderVariable), let source = Platform.environment(sourceVariable),
                let parts = Platform.environment(partVariable)?.split(separator: Platform.slash),
                case let numbers = parts.compactMap({ Int(String(decoding: $0, as: UTF8.self)) }), numbers.count == 2
            else {
                throw DemoFailure("\(roleVariable) is set: this would be a child of a demo, and there is no such demo")
            }
            let child = try DemoChild(DemoFolder(path: folder), source: source, part: numbers[0], of: numbers[1])
            switch role {
            case .store: try child.store()
            case .verify: try child.verify()
            case .write: try child.write()
            }
            return .success
        } catch {
            Output.note("diskcache demo: \(error)")
            return .failure
        }
    }

    private init(_ folder: DemoFolder, source: [UInt8], part: Int, of parts: Int) throws {
        self.folder = folder
        self.source = source
        self.part = part
        self.parts = parts
        cache = try Cache(directory: folder.store)
    }

    /// Says that everything is ready, or what came of a step, and waits for the word to go on.
    private func say(_ words: [UInt64]) throws { try Platform.write(.output, words.littleEndianBytes) }

    private func awaitStep() throws {
        var byte: UInt8 = 0
        let count = try withUnsafeMutableBytes(of: &byte) { try Platform.read(.input, into: $0) }
        if count == 0 { throw DemoFailure("the demo is gone") }
    }

    // MARK: Storing

    private func store() throws {
        let list = try folder.list()
        try say([1])
        try awaitStep()
        var stored: [StoredFile] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.wholeLimit, alignment: 16)
        defer { buffer.deallocate() }
        for index in stride(from: part, to: list.count, by: parts) {
            stored.append(try store(list[index], buffer))
        }
        try say([UInt64(stored.count { $0.state == .stored }), UInt64(stored.reduce(0) { $0 + $1.size })])
        try folder.write(stored: stored, by: part)
    }

    private func store(_ name: [UInt8], _ buffer: UnsafeMutableRawBufferPointer) throws -> StoredFile {
        let path = source + [Platform.slash] + name
        do {
            let file = try Platform.openFile(path, onlyRegular: true)
            let status = try Platform.status(file, path)
            guard status.kind == .regular else { return StoredFile(state: .unread, size: 0, sum: 0) }
            if status.size <= buffer.count {
                let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<status.size])
                let count = try Platform.read(file, into: room, path)
                let bytes = [UInt8](buffer[..<count])
                try cache.set(Self.key(name), bytes)
                return StoredFile(state: .stored, size: count, sum: bytes.withUnsafeBytes { XXH64.hash($0, seed: 0) })
            }
            let summing = Summing(file: file, path: path, left: status.size)
            try cache.set(Self.key(name), reading: SummingSource(summing: summing))
            return StoredFile(state: .stored, size: summing.count, sum: summing.sum.value())
        } catch is Platform.Failure {
            return StoredFile(state: .unread, size: 0, sum: 0)
        }
    }

    /// A file's key: its path as text, or as bytes where it isn't text.
    private static func key(_ name: [UInt8]) -> AnyCacheKey {
        String(validating: name, as: UTF8.self).map { .string($0) } ?? .bytes(name)
    }

    // MARK: Comparing

    private func verify() throws {
        let list = try folder.list()
        let stored = try folder.stored(processes: parts, count: list.count)
        let mine = stride(from: (part + 1) % parts, to: list.count, by: parts).filter { stored[$0].state == .stored }
        try say([1])
        try awaitStep()
        var (read, bytes, wrong) = (0, 0, 0)
        for index in mine {
            let isRight = try cache.withValue(Self.key(list[index])) { span in
                span.withUnsafeBytes { $0.count == stored[index].size && XXH64.hash($0, seed: 0) == stored[index].sum }
            }
            if isRight == true {
                read += 1
                bytes += stored[index].size
            } else {
                wrong += 1
                let what = isRight == nil ? "missing" : "not what was stored"
                Output.note("diskcache demo: \(what): \(displayed(list[index]))")
            }
        }
        try say([UInt64(read), UInt64(bytes), UInt64(wrong)])
        try awaitStep()
        var changed = 0
        for index in mine {
            switch try compare(list[index], stored[index]) {
            case .same: break
            case .fileChanged: changed += 1
            case .valueDiffers:
                wrong += 1
                Output.note("diskcache demo: differs from its file: \(displayed(list[index]))")
            }
        }
        try say([UInt64(wrong), UInt64(changed)])
    }

    private enum Comparison { case same, fileChanged, valueDiffers }

    /// Compares a value with its file, byte by byte. If they differ, the file's sum tells which of the two has changed.
    private func compare(_ name: [UInt8], _ stored: StoredFile) throws -> Comparison {
        guard let reader = try cache.open(Self.key(name)) else { return .valueDiffers }
        let path = source + [Platform.slash] + name
        do {
            let file = try Platform.openFile(path, onlyRegular: true)
            var sum = XXH64(seed: 0)
            var (size, isSame) = (0, true)
            while true {
                let piece = try [UInt8](unsafeUninitializedCapacity: Self.wholeLimit) { buffer, count in
                    count = try Platform.read(file, into: UnsafeMutableRawBufferPointer(buffer), path)
                }
                piece.withUnsafeBytes { sum.update($0) }
                size += piece.count
                var value: [UInt8] = []
                while isSame, value.count < Self.wholeLimit,
                    let next = try reader.next(maximum: Self.wholeLimit - value.count)
                {
                    value += next
                }
                if value != piece { isSame = false }
                // A file that grows for ever is told by its size.
                if piece.count < Self.wholeLimit || size > stored.size { break }
            }
            if isSame { return .same }
            return size == stored.size && sum.value() == stored.sum ? .valueDiffers : .fileChanged
        } catch is Platform.Failure {
            return .fileChanged
        }
    }

    // MARK: Writing until killed

    private func write() throws {
        try say([1])
        try awaitStep()
        var number: UInt64 = 0
        while true {
            let write = DemoWrite(round: part, number: number)
            try cache.set(write.key, write.value)
            try say([number])
            number += 1
        }
    }
}

/// A file that is being stored: where reading it has come to, and the sum of what was read.
private final class Summing {
    let file: Platform.Descriptor
    let path: [UInt8]
    var left: Int
    var count = 0
    var sum = XXH64(seed: 0)

    init(file: Platform.Descriptor, path: [UInt8], left: Int) {
        self.file = file
        self.path = path
        self.left = left
    }
}

/// The bytes of a file as far as it went when it was opened, so that one that grows for ever comes to an end.
private struct SummingSource: ByteSource {
    let summing: Summing

    mutating func next(maximum: Int) throws -> [UInt8]? {
        let wanted = min(maximum, summing.left)
        if wanted == 0 { return nil }
        let piece = try [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            count = try Platform.read(summing.file, into: UnsafeMutableRawBufferPointer(buffer), summing.path)
        }
        summing.left = piece.count < wanted ? 0 : summing.left - piece.count
        summing.count += piece.count
        piece.withUnsafeBytes { summing.sum.update($0) }
        return piece.isEmpty ? nil : piece
    }
}
