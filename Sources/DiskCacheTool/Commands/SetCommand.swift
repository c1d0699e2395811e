import DiskCacheCore

/// `set`: stores a value.
enum SetCommand: Command {
    static let name = "set"
    static let summary = "store a value, from an argument, a file or standard input"
    static let help = """
        usage: diskcache set [OPTIONS] DIR KEY [VALUE]

        Stores VALUE as text under KEY; makes the cache in DIR if there is none. Without VALUE, or with -, the
        bytes of standard input are stored; they may be more than memory holds.

          --file FILE       store the bytes of FILE
          --int, --float    VALUE is an integer of 64 bits, a floating-point number
          --expire SECONDS  the item expires after this time
          --tag TAG         the item's tag
          --add             only if there is no such key; exit status 1 if there is
          --int-key         KEY is an integer
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(
            arguments, options: ["--file", "--expire", "--tag"], flags: ["--int", "--float", "--add", "--int-key"])
        try arguments.expect(2...3, ["DIR", "KEY"])
        let isNumber = arguments.has("--int") || arguments.has("--float")
        let value = arguments.positional.count == 3 ? arguments.positional[2] : nil
        if isNumber && (value ?? "-") == "-" { throw UsageError("VALUE is missing, which is to be a number") }
        if arguments.has("--int") && arguments.has("--float") {
            throw UsageError("--int and --float exclude each other")
        }
        if value != nil && arguments.value("--file") != nil { throw UsageError("VALUE and --file exclude each other") }

        let key = try parseKey(arguments.positional[1], arguments)
        let expire = try arguments.number("--expire", as: Double.self).map { seconds -> Expiration in
            guard seconds.isFinite, abs(seconds) < 1e12 else { throw UsageError("--expire: \(seconds) is not a time") }
            return .after(.seconds(seconds))
        }
        let store = Store(
            directory: arguments.positional[0], key: key, expire: expire,
            tag: arguments.value("--tag").map { .string($0) }, isAdding: arguments.has("--add"))
        let done: Bool
        if let path = arguments.value("--file") {
            done = try store(reading: Platform.openFile(Array(path.utf8)))
        } else if let value, value != "-" {
            if arguments.has("--int") {
                done = try store(try parseNumber(value, "VALUE", as: Int64.self))
            } else if arguments.has("--float") {
                done = try store(try parseNumber(value, "VALUE", as: Double.self))
            } else {
                done = try store(value)
            }
        } else {
            done = try store(reading: .input)
        }
        if !done { Output.note("diskcache set: there is a key \(arguments.positional[1]) already") }
        return done ? .success : .negative
    }
}

/// Where and how `set` stores.
private struct Store {
    let directory: String
    let key: AnyCacheKey
    let expire: Expiration?
    let tag: Tag?
    let isAdding: Bool

    func callAsFunction(_ value: some Encodable) throws -> Bool {
        let cache = try openOrMake(directory)
        if isAdding { return try cache.add(key, value, expire: expire, tag: tag) }
        return try cache.set(key, value, expire: expire, tag: tag)
    }

    /// Stores what can be read from a descriptor: in one piece if it is short, so that the cache decides where it lies.
    func callAsFunction(reading descriptor: Platform.Descriptor) throws -> Bool {
        let limit = 1 << 20
        let first = try [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = try Platform.read(descriptor, into: UnsafeMutableRawBufferPointer(buffer))
        }
        if first.count < limit { return try self(first) }
        let cache = try openOrMake(directory)
        return try withExtendedLifetime(descriptor) {
            let source = PrefixedSource(first: first, rest: FileDescriptorSource(descriptor.number))
            if isAdding { return try cache.add(key, reading: source, expire: expire, tag: tag) }
            try cache.set(key, reading: source, expire: expire, tag: tag)
            return true
        }
    }
}

/// A source of which the first piece was read already.
private struct PrefixedSource: ByteSource {
    var first: [UInt8]?
    var rest: FileDescriptorSource

    mutating func next(maximum: Int) throws -> [UInt8]? {
        guard let piece = first else { return try rest.next(maximum: maximum) }
        first = piece.count > maximum ? Array(piece[maximum...]) : nil
        return piece.count > maximum ? Array(piece[..<maximum]) : piece
    }
}
