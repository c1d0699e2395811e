import Compare
import DiskCache
import Synchronization
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

private func closeDescriptor(_ descriptor: Int32) { close(descriptor) }

/// How many commits a second are durable, from 1, 4 and 16 threads, beside SQLite and LMDB: each engine in turn, several rounds.
enum DurableCommits {
    private final class DiskCacheWriter: DurableWriter, @unchecked Sendable {
        private let cache: Cache

        init(path: String) throws {
            var configuration = Cache.Configuration()
            configuration.durability = .full
            cache = try Cache(directory: path, configuration: configuration)
        }

        func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, thread: Int) throws {
            try cache.set(Array(key), Array(value))
        }

        func close() { try? cache.close() }
    }

    /// A bare `pwrite` of a page and `fdatasync`, over and over by one thread: what one flush costs.
    private final class FloorWriter: DurableWriter, @unchecked Sendable {
        private let descriptor: Int32
        private var page = [UInt8](repeating: 0, count: 4096)
        init(path: String) throws {
            descriptor = open(path + "/floor", O_RDWR | O_CREAT, 0o600)
            guard descriptor >= 0 else { throw Files.error("open", path) }
            for number in 0..<1024 { _ = pwrite(descriptor, page, page.count, off_t(number * 4096)) }
            fsync(descriptor)
        }
        func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, thread: Int) throws {
            page[0] &+= 1
            guard pwrite(descriptor, page, page.count, 0) == page.count else { throw Files.error("pwrite", "floor") }
            #if canImport(Darwin)
                _ = fcntl(descriptor, F_FULLFSYNC)
            #else
                fdatasync(descriptor)
            #endif
        }
        func close() { closeDescriptor(descriptor) }
    }

    private static let engines = [
        "DiskCache, `full`", "SQLite, WAL, `synchronous=FULL`", "LMDB", "floor: `pwrite`, `fdatasync`",
    ]

    private static func make(_ engine: Int, _ path: String, _ threads: Int) throws -> any DurableWriter {
        switch engine {
        case 0: try DiskCacheWriter(path: path)
        case 1: try DurableSQLite(path: path, threads: threads)
        case 2: try DurableLMDB(path: path)
        default: try FloorWriter(path: path)
        }
    }

    /// The table.
    static func run(rounds: Int, milliseconds: Int, directory: String) throws -> String {
        let counts = [1, 4, 16]
        var rates = [[[Double]]](repeating: [[Double]](repeating: [], count: counts.count), count: engines.count)
        for round in 0..<rounds {
            for (column, threads) in counts.enumerated() {
                for engine in engines.indices where engine < 3 || threads == 1 {
                    Files.log("durability: round \(round + 1) of \(rounds), \(threads) threads, \(engines[engine])\n")
                    let path = "\(directory)/durable"
                    try Files.makeDirectory(path)
                    let writer = try make(engine, path, threads)
                    rates[engine][column].append(try measure(writer, threads, milliseconds))
                    writer.close()
                    try Files.remove(path)
                }
            }
        }
        var text = """
            Durable commits a second, keys of 16 bytes, values of 100, one transaction an operation; median (least to greatest) of \(rounds) rounds.

            | engine | \(counts.map { "\($0) thread\($0 == 1 ? "" : "s")" }.joined(separator: " | ")) |
            |---|\(counts.map { _ in "--:" }.joined(separator: "|"))|

            """
        for engine in engines.indices {
            let cells = rates[engine].map { rates -> String in
                let sorted = rates.sorted()
                guard let least = sorted.first, let greatest = sorted.last else { return "" }
                return "\(Int(sorted[sorted.count / 2])) (\(Int(least)) to \(Int(greatest)))"
            }
            text += "| \(engines[engine]) | \(cells.joined(separator: " | ")) |\n"
        }
        return text + "\n"
    }

    private final class Shared: Sendable {
        let isOver = Atomic<Bool>(false)
        let commits = Atomic<Int>(0)
        let failures = Atomic<Int>(0)
    }

    private struct Thread: @unchecked Sendable {
        let writer: any DurableWriter
        let number: Int
        let shared: Shared

        func run() {
            let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
            var key = [UInt8](repeating: 0, count: KeyFormat.size)
            var count = 0
            while !shared.isOver.load(ordering: .relaxed) {
                key.withUnsafeMutableBytes { bytes in
                    bytes.copyBytes(from: "key-".utf8)
                    KeyFormat.write(UInt64(number * 1_000_000 + count), to: bytes.baseAddress!)
                }
                do {
                    try key.withUnsafeBytes { k in
                        try value.withUnsafeBytes { v in try writer.set(k, v, thread: number) }
                    }
                } catch {
                    shared.failures.add(1, ordering: .relaxed)
                    return
                }
                count += 1
            }
            shared.commits.add(count, ordering: .relaxed)
        }
    }

    /// Commits a second over all threads.
    private static func measure(_ writer: any DurableWriter, _ count: Int, _ milliseconds: Int) throws -> Double {
        let shared = Shared()
        let threads = (0..<count).map { Thread(writer: writer, number: $0, shared: shared) }
        var handles: [pthread_t] = []
        let start = monotonicNanoseconds()
        for thread in threads {
            let box = Unmanaged.passRetained(Box(thread))
            #if canImport(Darwin)
                var handle: pthread_t?
                pthread_create(
                    &handle, nil,
                    {
                        Unmanaged<Box>.fromOpaque($0).takeRetainedValue().thread.run()
                        return nil
                    }, box.toOpaque())
                if let handle { handles.append(handle) }
            #else
                var handle = pthread_t()
                pthread_create(
                    &handle, nil,
                    { argument in
                        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().thread.run() }
                        return nil
                    }, box.toOpaque())
                handles.append(handle)
            #endif
        }
        usleep(UInt32(milliseconds * 1000))
        shared.isOver.store(true, ordering: .relaxed)
        for handle in handles { pthread_join(handle, nil) }
        let time = Double(monotonicNanoseconds() - start) / 1e9
        guard shared.failures.load(ordering: .relaxed) == 0 else { throw UsageError("an engine failed") }
        return Double(shared.commits.load(ordering: .relaxed)) / time
    }

    private final class Box {
        let thread: Thread
        init(_ thread: Thread) { self.thread = thread }
    }
}
