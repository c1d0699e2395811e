#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

// The calls whose names methods of ours would hide.

func openFile(_ path: String, _ flags: Int32) throws -> Int32 {
    let descriptor = open(path, flags, 0o644)
    guard descriptor >= 0 else { throw Files.error("open", path) }
    return descriptor
}

func closeFile(_ descriptor: Int32) {
    close(descriptor)
}

func readFile(_ descriptor: Int32, _ bytes: UnsafeMutableRawBufferPointer) -> Int {
    read(descriptor, bytes.baseAddress, bytes.count)
}

func writeFile(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}

/// The machine a run was made on, as its report names it.
public struct Machine: Sendable, Codable {
    /// The processor's own name, or its architecture.
    public let processor: String
    /// Processors online.
    public let cores: Int
    /// Name and release of the kernel.
    public let kernel: String

    /// This machine.
    public init() {
        var names = utsname()
        uname(&names)
        let architecture = Self.string(of: &names.machine)
        kernel = "\(Self.string(of: &names.sysname)) \(Self.string(of: &names.release))"
        cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        processor = Self.processorName() ?? architecture
    }

    private static func string<Characters>(of characters: inout Characters) -> String {
        withUnsafeBytes(of: &characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The line `model name` of `/proc/cpuinfo`, where there is one.
    private static func processorName() -> String? {
        guard let descriptor = try? openFile("/proc/cpuinfo", O_RDONLY) else { return nil }
        defer { closeFile(descriptor) }
        let text = String(unsafeUninitializedCapacity: 4096) { max(0, read(descriptor, $0.baseAddress, 4096)) }
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        guard let line, let colon = line.firstIndex(of: ":") else { return nil }
        return String(line[line.index(after: colon)...].drop { $0 == " " })
    }
}
