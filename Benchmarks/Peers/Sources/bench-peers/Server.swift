import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A connection to a server on a Unix socket, which the first one starts; the server ends with it.
final class Server {
    private let child: Child?
    private let descriptor: Int32
    private var bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    private var start = 0
    private var end = 0
    /// What is to be sent.
    var request: [UInt8] = []

    /// Connects to the socket `name` in `directory`; if there is none, starts the server by a command of the shell.
    init(_ directory: String, _ name: String, _ command: String) throws {
        let path = "\(directory)/\(name)"
        var status = stat()
        if stat(path, &status) != 0 {
            // The shell waits for the end of its input, which comes when this process ends, however it does.
            child = try Child(
                ["sh", "-c", "\(command) >'\(directory)/log' 2>&1 & read -r line; kill $!; wait $!"], pipes: true)
        } else {
            child = nil
        }
        descriptor = try Self.connect(path)
        request.reserveCapacity(1 << 16)
    }

    deinit {
        closeDescriptor(descriptor)
        bytes.deallocate()
        child?.hangUp()
        _ = child?.wait()
    }

    private static func connect(_ path: String) throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw EngineError("\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        for _ in 0..<500 {
            #if canImport(Glibc)
                let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            #else
                let descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
            #endif
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connectDescriptor(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                return descriptor
            }
            closeDescriptor(descriptor)
            usleep(10_000)
        }
        throw EngineError("\(path): no server answers")
    }

    /// Sends `request` and empties it.
    func send() throws {
        try request.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                guard count > 0 else { throw EngineError("the server doesn't listen any more") }
                rest = rest.dropFirst(count)
            }
        }
        request.removeAll(keepingCapacity: true)
    }

    /// More bytes of the answer.
    private func fill() throws {
        if start == end { (start, end) = (0, 0) }
        if end == bytes.count {
            if start > 0 {
                bytes.baseAddress!.copyMemory(from: bytes.baseAddress! + start, byteCount: end - start)
                (start, end) = (0, end - start)
            } else {
                let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count * 2, alignment: 16)
                larger.copyMemory(from: UnsafeRawBufferPointer(bytes))
                bytes.deallocate()
                bytes = larger
            }
        }
        let count = read(descriptor, bytes.baseAddress! + end, bytes.count - end)
        guard count > 0 else { throw EngineError("the server has ended") }
        end += count
    }

    /// The next line without its end, valid until the next call.
    func line() throws -> UnsafeRawBufferPointer {
        var looked = start
        while true {
            while looked + 1 < end {
                if bytes[looked] == 13, bytes[looked + 1] == 10 {
                    let line = UnsafeRawBufferPointer(rebasing: bytes[start..<looked])
                    start = looked + 2
                    return line
                }
                looked += 1
            }
            let distance = looked - start
            try fill()
            looked = start + distance
        }
    }

    /// The next `count` bytes and the end of line behind them, copied to `target` where it isn't nil.
    func body(_ count: Int, into target: UnsafeMutableRawPointer?) throws {
        while end - start < count + 2 { try fill() }
        target?.copyMemory(from: bytes.baseAddress! + start, byteCount: count)
        start += count + 2
    }
}

private func closeDescriptor(_ descriptor: Int32) { close(descriptor) }

private func connectDescriptor(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
    connect(descriptor, address, size)
}

extension UnsafeRawBufferPointer {
    /// The decimal number that begins at `offset`.
    func number(from offset: Int) -> Int {
        var (number, isNegative) = (0, false)
        for byte in self[offset...] {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number * 10 + Int(byte - UInt8(ascii: "0"))
            default: return isNegative ? -number : number
            }
        }
        return isNegative ? -number : number
    }
}
