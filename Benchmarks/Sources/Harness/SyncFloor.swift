#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A page of a file written again and again, and synced each time: what one flush costs. It keeps no keys.
final class SyncFloor: Engine {
    private let file: Int32
    private var page = [UInt8](repeating: 0, count: 4096)

    init(path: String) throws {
        file = try openFile("\(path)/floor", O_RDWR | O_CREAT)
        for _ in 0..<16 { _ = page.withUnsafeBytes { writeFile(file, $0) } }
        fsync(file)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        page[0] &+= 1
        guard pwrite(file, page, page.count, 0) == page.count else { throw Files.error("pwrite", "floor") }
        #if canImport(Darwin)
            _ = fcntl(file, F_FULLFSYNC)
        #else
            fdatasync(file)
        #endif
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int { -1 }
    func delete(_ key: UnsafeRawBufferPointer) -> Bool { false }
    func close() { closeFile(file) }
}

extension Contestant {
    /// What one flush costs.
    public static let syncFloor = Contestant(
        "floor-sync", version: "",
        "`pwrite` of one page and `fdatasync`, again and again; only where writes are durable",
        traits: [.durable, .special]
    ) { path, _ in
        try SyncFloor(path: path)
    }
}
