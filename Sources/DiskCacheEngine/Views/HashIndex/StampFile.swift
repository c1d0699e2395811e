import Synchronization

/// The file `stamps.<generation>`: a stamp for each slot of the index of that generation, at the slot's own offset. It exists
/// under two policies only.
///
/// Page 0 is the header. Stored in files; never renumber.
///
/// ```
///    0  magic 8          89 'D' 'C' 'U' 0D 0A 1A 0A
///    8  format 4         1
///   12  reserved 4       0
///   16  store id 16
///   32  generation 8     of the index
///   40  modes 8          what `modes` in `meta` says of stamps while this file is the one in use
///   48  reserved 72      0
///  120  check 8          XXH64 of bytes 0 to 119, seed 0
/// ```
///
/// From byte 4096 on each aligned 8 bytes are the stamp of the slot that stands at the same offset of the index, stored relaxed by
/// anybody (see `Stamp`). Nothing depends on them but which row is evicted first: a reader of the format may leave the
/// file out, a writer that finds it missing or not its own makes an empty one.
final class StampFile: @unchecked Sendable {
    static let magic: UInt64 = 0x0A1A_0A0D_5543_4489

    let file: FileDescriptor
    let files: any FileSystem
    let base: UnsafeMutableRawPointer
    let reserved: Int
    let modes: UInt64
    private let validBytes: Atomic<Int>

    private init(_ file: FileDescriptor, _ files: any FileSystem, modes: UInt64) throws(SystemError) {
        self.file = file
        self.files = files
        self.modes = modes
        var reserved = HashIndex.reservation
        let size = try files.status(file).size
        while true {
            do throws(SystemError) {
                base = try files.map(file, offset: 0, count: reserved, writable: true, at: nil)
                break
            } catch {
                if error.errno != ErrorNumber.noMemory || reserved / 2 < max(size, 4 << 20) { throw error }
                reserved /= 2
            }
        }
        self.reserved = reserved
        validBytes = Atomic(min(size, reserved))
    }

    deinit { files.unmap(base, count: reserved, leavingZeros: false) }

    static func name(_ generation: UInt64) -> String { "stamps.\(generation)" }

    /// The generation that a file name stands for; nil if it isn't a stamp file's.
    static func generation(ofName name: String) -> UInt64? {
        guard name.hasPrefix("stamps."), let generation = UInt64(name.dropFirst(7)), generation < 1 << 48,
            Self.name(generation) == name
        else { return nil }
        return generation
    }

    /// Makes a file without any stamp, for an index of `size` bytes, in place of one of that name.
    static func create(
        generation: UInt64, modes: UInt64, size: Int, in directory: FileDescriptor, files: any FileSystem,
        storeID: (UInt64, UInt64)
    ) throws(SystemError) -> StampFile {
        try files.unlinkIfPresent(name(generation), in: directory)
        let file = try files.open(name(generation), in: directory, [.write, .create, .exclusive])
        FaultPoint.reach(.stampsCreated)
        files.disableCopyOnWrite(file)
        try files.allocate(file, offset: 0, count: max(size, IndexLayout.pageSize))
        var header: [UInt64] = [magic, UInt64(EngineVersion.format), storeID.0, storeID.1, generation, modes]
        header += [UInt64](repeating: 0, count: 10)
        header[15] = header.withUnsafeBytes { XXH64.hash(UnsafeRawBufferPointer(rebasing: $0[0..<120]), seed: 0) }
        try files.write(
            file, header.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }, at: 0)
        FaultPoint.reach(.stampsWritten)
        return try StampFile(file, files, modes: modes)
    }

    /// Opens the file of a generation; nil if it isn't there or isn't the one in use.
    static func open(
        generation: UInt64, modes: UInt64, in directory: FileDescriptor, files: any FileSystem,
        storeID: (UInt64, UInt64)
    ) throws(SystemError) -> StampFile? {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try files.open(name(generation), in: directory, [.write])
        } catch {
            if error.errno == ErrorNumber.notFound { return nil }
            throw error
        }
        guard try files.status(file).kind == .regular else { return nil }
        let header = try files.read(file, count: 128, at: 0)
        let isOurs = header.withUnsafeBytes { raw -> Bool in
            guard raw.count == 128 else { return false }
            func word(_ at: Int) -> UInt64 {
                UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            }
            return word(0) == magic && word(8) == UInt64(EngineVersion.format) && word(16) == storeID.0
                && word(24) == storeID.1 && word(32) == generation && word(40) == modes
                && word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0)
        }
        return isOurs ? try StampFile(file, files, modes: modes) : nil
    }

    /// The stamp of the slot at an offset of the index; nil: the file doesn't reach that far.
    @inline(__always)
    func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>>? {
        guard offset &+ 8 <= validBytes.load(ordering: .relaxed) || reaches(offset &+ 8) else { return nil }
        return (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The stamp at an offset; 0 where there is none.
    @inline(__always) func stamp(at offset: Int) -> UInt64 { word(at: offset)?.pointee.load(ordering: .relaxed) ?? 0 }

    /// Another process may have made the file longer: ask it.
    @inline(never) private func reaches(_ end: Int) -> Bool {
        guard let size = try? files.status(file).size else { return false }
        validBytes.store(min(size, reserved), ordering: .relaxed)
        return end <= min(size, reserved)
    }

    /// Blocks up to `size` bytes: what the index has.
    func ensure(_ size: Int) throws(SystemError) {
        let current = try files.status(file).size
        if size > current, size <= reserved {
            try files.allocate(file, offset: current, count: size - current)
        }
        validBytes.store(min(max(size, current), reserved), ordering: .relaxed)
    }
}
