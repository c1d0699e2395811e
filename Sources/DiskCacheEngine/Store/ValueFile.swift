/// What a large value's file is called: 16 random bytes, so that no two values ever share one.
///
/// In hex the bytes are the path below the store's directory: two digits, two digits, and the other 28:
///
///     files/3f/a0/41b6…c2.val         a value
///     files/tmp/3fa041b6…c2           the same while it is written
struct ValueFileName: Hashable, Sendable {
    /// Bytes 0 to 7, the first the lowest.
    private let first: UInt64
    /// Bytes 8 to 15.
    private let second: UInt64

    static let size = 16

    init(random: () -> UInt64) {
        first = random()
        second = random()
    }

    /// Reads a name from its 16 bytes.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        first = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        second = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// Reads 32 lower-case hex digits; nil for anything else.
    init?(hex: some StringProtocol) {
        var words: (UInt64, UInt64) = (0, 0)
        var count = 0
        for digit in hex.utf8 {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            guard count < 32 else { return nil }
            // Each byte's high digit comes first.
            let shift = UInt64((count / 2 % 8) * 8 + (count % 2 == 0 ? 4 : 0))
            if count < 16 { words.0 |= UInt64(value) << shift } else { words.1 |= UInt64(value) << shift }
            count += 1
        }
        guard count == 32 else { return nil }
        (first, second) = words
    }

    fileprivate func store(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBytes(of: first.littleEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: second.littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// The bytes as 32 lower-case digits.
    var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 32) { text in
            for index in 0..<16 {
                let word = index < 8 ? first : second
                let byte = Int((word >> UInt64(index % 8 * 8)) & 0xFF)
                text[index * 2] = digits[byte >> 4]
                text[index * 2 + 1] = digits[byte & 15]
            }
            return 32
        }
    }

    /// `files/xx`, `files/xx/yy`: where the file lies.
    var parents: (outer: String, inner: String) {
        let hex = hex.utf8
        let outer = ValueFiles.root + "/" + String(Substring(hex.prefix(2)))
        return (outer, outer + "/" + String(Substring(hex.dropFirst(2).prefix(2))))
    }

    /// `files/xx/yy/<28 digits>.val`.
    var path: String { parents.inner + "/" + String(Substring(hex.utf8.dropFirst(4))) + ValueFiles.suffix }

    /// `files/tmp/<32 digits>`.
    var temporaryPath: String { ValueFiles.temporary + "/" + hex }
}

/// What a record holds in place of a large value: which file, how long, and what its bytes must add up to.
///
///      0                16        24        32
///     +-----------------+---------+---------+
///     | name            | length  | XXH64   |
///     +-----------------+---------+---------+
///
/// Numbers are little-endian; the checksum is XXH64 of the file's bytes with seed 0. Stored in files: never change it.
struct ValueFileReference: Hashable, Sendable {
    var name: ValueFileName
    var length: Int
    var checksum: UInt64

    static let size = 32
    private static let lengthOffset = 16
    private static let checksumOffset = 24

    init(name: ValueFileName, length: Int, checksum: UInt64) {
        self.name = name
        self.length = length
        self.checksum = checksum
    }

    /// Reads a reference; nil unless there are 32 bytes and a length that a file can have.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        let stored = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Self.lengthOffset, as: UInt64.self))
        guard let length = Int(exactly: stored) else { return nil }
        name = ValueFileName(bytes)
        self.length = length
        checksum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Self.checksumOffset, as: UInt64.self))
    }

    /// Writes the reference into 32 bytes.
    func store(into bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == Self.size)
        name.store(into: bytes)
        bytes.storeBytes(of: UInt64(length).littleEndian, toByteOffset: Self.lengthOffset, as: UInt64.self)
        bytes.storeBytes(of: checksum.littleEndian, toByteOffset: Self.checksumOffset, as: UInt64.self)
    }
}

/// Why a value's file can't be read.
enum ValueFileError: Error, Equatable {
    /// The system didn't let us.
    case system(SystemError)
    /// The file isn't what its record says.
    case corrupted(path: String, Damage)

    enum Damage: Sendable {
        /// A directory, a link, a pipe, anything but a file.
        case notAFile
        case length
        case checksum
    }

    /// Runs `body`; what the system throws becomes one of these.
    static func wrapping<Result>(_ body: () throws(SystemError) -> Result) throws(ValueFileError) -> Result {
        do { return try body() } catch { throw .system(error) }
    }
}
