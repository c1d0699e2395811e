import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The least that any store over a mapping can do: a perfect hash (the key's own number) into a mapped array of slots,
/// and one copy from or to a mapped log, all allocated beforehand. No probing, checksum, growth or recovery; with
/// `locking`, a `flock` pair around each write, as a store that lets other processes write must have it.
///
///     slots   position + 1 of key 0 | of key 1 | …                    8 bytes each; 0: not there
///     log     position 8 | key 16 | size 4 | value | up to 8          one after another, from the start again when full
final class Floor: Engine {
    private let path: String
    private let locking: Bool
    private let stride: Int
    private let slotCount: Int
    private let logSize: Int
    private var tail = 0
    private let lockFile: Int32
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>
    private let log: UnsafeMutableRawPointer

    /// A store in the folder `path`, for twice the keys of `conditions` and as many writes.
    init(path: String, conditions: Conditions, locking: Bool) throws {
        self.path = path
        self.locking = locking
        stride = (8 + KeyFormat.size + 4 + conditions.valueSize + 7) & ~7
        slotCount = conditions.keys * 4
        logSize = stride * max(conditions.keys, 1000) * 2
        slots = try Self.map("\(path)/slots", slotCount * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
        log = try Self.map("\(path)/log", logSize)
        lockFile = try openFile("\(path)/lock", O_RDWR | O_CREAT)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if locking { flock(lockFile, LOCK_EX) }
        let record = log + tail
        record.storeBytes(of: UInt64(tail), as: UInt64.self)
        (record + 8).copyMemory(from: key.baseAddress.unsafelyUnwrapped, byteCount: KeyFormat.size)
        record.storeBytes(of: UInt32(value.count), toByteOffset: 24, as: UInt32.self)
        (record + 28).copyMemory(from: value.baseAddress.unsafelyUnwrapped, byteCount: value.count)
        slot(key).pointee.store(UInt64(tail) &+ 1, ordering: .releasing)
        tail &+= stride
        if tail &+ stride > logSize { tail = 0 }
        if locking { flock(lockFile, LOCK_UN) }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let place = slot(key).pointee.load(ordering: .acquiring)
        guard place != 0 else { return -1 }
        let record = UnsafeRawPointer(log) + Int(truncatingIfNeeded: place &- 1)
        guard memcmp(record + 8, key.baseAddress.unsafelyUnwrapped, KeyFormat.size) == 0 else { return -1 }
        let size = Int(record.load(fromByteOffset: 24, as: UInt32.self))
        buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: record + 28, byteCount: size)
        return size
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) -> UInt64? {
        let place = slot(key).pointee.load(ordering: .acquiring)
        guard place != 0 else { return nil }
        let record = UnsafeRawPointer(log) + Int(truncatingIfNeeded: place &- 1)
        guard memcmp(record + 8, key.baseAddress.unsafelyUnwrapped, KeyFormat.size) == 0,
            Int(record.load(fromByteOffset: 24, as: UInt32.self)) == size
        else { return nil }
        return record.loadUnaligned(fromByteOffset: 28, as: UInt64.self)
    }

    func delete(_ key: UnsafeRawBufferPointer) -> Bool {
        if locking { flock(lockFile, LOCK_EX) }
        let wasThere = slot(key).pointee.load(ordering: .relaxed) != 0
        slot(key).pointee.store(0, ordering: .releasing)
        if locking { flock(lockFile, LOCK_UN) }
        return wasThere
    }

    func close() {
        munmap(slots, slotCount * 8)
        munmap(log, logSize)
        closeFile(lockFile)
    }

    @inline(__always)
    private func slot(_ key: UnsafeRawBufferPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
        slots + Int(truncatingIfNeeded: KeyFormat.number(at: key.baseAddress.unsafelyUnwrapped))
    }

    /// Maps the file `path`; a new file gets its `size` bytes first, allocated where the system can.
    private static func map(_ path: String, _ size: Int) throws -> UnsafeMutableRawPointer {
        let descriptor = try openFile(path, O_RDWR | O_CREAT)
        defer { closeFile(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Files.error("fstat", path) }
        if Int(status.st_size) < size {
            #if canImport(Darwin)
                guard ftruncate(descriptor, off_t(size)) == 0 else { throw Files.error("ftruncate", path) }
            #else
                errno = posix_fallocate(descriptor, 0, off_t(size))
                guard errno == 0 else { throw Files.error("posix_fallocate", path) }
            #endif
        }
        guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
        else { throw Files.error("mmap", path) }
        return base
    }
}

extension Contestant {
    /// The floor, without and with locking.
    public static let floors = [false, true].map { locking in
        Contestant(
            locking ? "floor-flock" : "floor", version: "",
            locking
                ? "the floor with a flock pair around each write"
                : "a perfect hash over a mapping, with the copies every store must make; all allocated beforehand",
            verbs: [.borrow]
        ) { path, conditions in
            try Floor(path: path, conditions: conditions, locking: locking)
        }
    }
}
