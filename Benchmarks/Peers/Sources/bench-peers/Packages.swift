import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What is installed.
enum Packages {
    /// The version of a Debian package, for libraries that don't tell their own.
    static func version(_ package: String) -> String {
        output("dpkg-query -W -f '${Version}' \(package) 2>/dev/null").map {
            String($0.prefix { $0 != "-" && $0 != "+" })
        } ?? ""
    }

    /// The first line that a command of the shell prints; nil if it fails.
    static func output(_ command: String) -> String? {
        guard let stream = popen(command, "r") else { return nil }
        var buffer = [CChar](repeating: 0, count: 1024)
        _ = fgets(&buffer, Int32(buffer.count), stream)
        guard pclose(stream) == 0 else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether a program is there.
    static func has(_ program: String) -> Bool {
        guard let path = getenv("PATH") else { return false }
        return String(cString: path).split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }
}
