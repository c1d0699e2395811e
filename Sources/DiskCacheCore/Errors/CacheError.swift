/// What this library throws: a code to switch on, a message for people, and where it happened.
///
/// Public functions are plain `throws` and throw `CacheError`, except that an error thrown by a closure that you pass
/// in comes back to you as it is. Match a code in a `catch`:
///
/// ```swift
/// do {
///     try cache.set("key", value)
/// } catch CacheError.Code.timeout {
///     // somebody else has held the write lock all along
/// } catch CacheError.Code.diskFull {
///     // …
/// }
/// ```
public struct CacheError: Error, Sendable, Hashable {
    /// What went wrong.
    public let code: Code

    /// What went wrong, in words: for logs, not for programs.
    public let message: String

    /// The file or directory concerned.
    public let path: String?

    /// The number that the operating system gave for its failure.
    public let errno: Int32?

    /// How many items had been removed when a removal of many was cut short, by `timeout` for instance.
    /// What was removed stays removed.
    public let removed: Int?

    /// An error made from its parts.
    public init(
        _ code: Code, _ message: String = "", path: String? = nil, errno: Int32? = nil, removed: Int? = nil
    ) {
        self.code = code
        self.message = message
        self.path = path
        self.errno = errno
        self.removed = removed
    }
}

extension CacheError {
    /// What went wrong, without the circumstances.
    ///
    /// A struct and not an enum, so that codes can be added without breaking anybody's `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as it is written in Swift.
        public let name: String

        private init(_ name: String) {
            self.name = name
        }

        /// The code's name.
        public var description: String { name }
    }
}

extension CacheError.Code {
    /// Thrown by nothing: a cache that is closed opens itself again at the next call.
    public static let closed = Self("closed")
    /// The write lock, or what the call waits for, couldn't be had in time.
    public static let timeout = Self("timeout")
    /// Bytes in a file aren't what was written there.
    public static let corrupted = Self("corrupted")
    /// The file system has no room left.
    public static let diskFull = Self("diskFull")
    /// The key can't be one: NaN, or a custom key that wrote nothing.
    public static let keyInvalid = Self("keyInvalid")
    /// The name can't be one: empty, absolute, with `..` or an empty part, or with a zero byte in it. Of a path: empty, or with a zero
    /// byte in it.
    public static let nameInvalid = Self("nameInvalid")
    /// There is no item with this key.
    public static let keyNotFound = Self("keyNotFound")
    /// A counter was asked to count on something that isn't a number.
    public static let notANumber = Self("notANumber")
    /// A counter would leave the range of 64-bit integers.
    public static let overflow = Self("overflow")
    /// The value is larger than the store can hold.
    public static let valueTooLarge = Self("valueTooLarge")
    /// The stored value is of another type than the one asked for.
    public static let typeMismatch = Self("typeMismatch")
    /// The bytes aren't what the serialiser writes: cut off, malformed, or not deterministic CBOR.
    public static let undecodable = Self("undecodable")
    /// The value can't be serialised: its `encode(to:)` failed, or it is nested too deeply.
    public static let unencodable = Self("unencodable")
    /// The queue holds as many items as it may.
    public static let queueFull = Self("queueFull")
    /// A system call failed; see ``CacheError/errno``.
    public static let io = Self("io")
    /// The files were written by a version of this library whose format this one doesn't know.
    public static let unsupportedFormat = Self("unsupportedFormat")
    /// The directory is on a network file system, where locks and mappings can't be trusted.
    public static let networkFileSystem = Self("networkFileSystem")
    /// The file system is mounted read-only.
    public static let readOnly = Self("readOnly")
    /// The snapshot is older than what the store still keeps.
    public static let snapshotExpired = Self("snapshotExpired")
    /// An earlier failure made writing unsafe until the store is opened again.
    public static let poisoned = Self("poisoned")
    /// The store's directory was deleted or replaced while the store was open.
    public static let directoryRemoved = Self("directoryRemoved")
    /// The directory holds files that aren't this library's.
    public static let foreignDirectory = Self("foreignDirectory")
    /// Others could change the directory's files: its owner or its permissions are wrong.
    public static let insecureDirectory = Self("insecureDirectory")
    /// The directory holds a store of another kind, such as a deque where an index was asked for.
    public static let wrongKind = Self("wrongKind")
    /// The store was made with another serialiser.
    public static let serializerMismatch = Self("serializerMismatch")
    /// The fanout cache was made with another number of shards.
    public static let shardCountMismatch = Self("shardCountMismatch")
    /// The key is longer than 16 MiB.
    public static let keyTooLarge = Self("keyTooLarge")
    /// A limit of the format is reached.
    public static let limitReached = Self("limitReached")
    /// The process or the system has no file descriptors left.
    public static let tooManyOpenFiles = Self("tooManyOpenFiles")
    /// The call can't be made inside a transaction.
    public static let inTransaction = Self("inTransaction")
    /// A lock was released, or extended, by somebody who doesn't hold it.
    public static let lockNotHeld = Self("lockNotHeld")
    /// The position to continue from has been compacted away.
    public static let positionGone = Self("positionGone")
    /// Something stands already where a backup is to be made.
    public static let targetExists = Self("targetExists")
    /// A setting has a value that makes no sense.
    public static let invalidSetting = Self("invalidSetting")
    /// The task was cancelled before its work began.
    public static let cancelled = Self("cancelled")

    /// Lets a code stand as a pattern in `catch`.
    public static func ~= (code: CacheError.Code, error: any Error) -> Bool {
        (error as? CacheError)?.code == code
    }
}

extension CacheError: CustomStringConvertible {
    /// Code, message, path, error number and count, as far as there are any.
    public var description: String {
        var text = code.name
        if !message.isEmpty { text += ": " + message }
        var details: [String] = []
        if let path { details.append("path \(path)") }
        if let errno { details.append("errno \(errno)") }
        if let removed { details.append("removed \(removed)") }
        if !details.isEmpty {
            text += " ("
            for (index, detail) in details.enumerated() {
                text += index == 0 ? detail : ", " + detail
            }
            text += ")"
        }
        return text
    }
}
