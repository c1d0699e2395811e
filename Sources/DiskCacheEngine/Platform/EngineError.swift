/// What the engine throws: what went wrong, where, and what to do about it.
public struct EngineError: Error, Sendable, Equatable {
    /// What went wrong.
    public enum Code: Sendable, Equatable {
        case closed, timeout, corrupted, diskFull, io, unsupportedFormat, networkFileSystem, readOnly, poisoned
        case directoryRemoved, foreignDirectory, insecureDirectory, wrongKind, limitReached, tooManyOpenFiles
        case keyTooLarge, valueTooLarge, keyNotFound, notANumber, overflow, invalidSetting, serializerMismatch
        case inTransaction, snapshotExpired, queueFull, targetExists, shardCountMismatch, positionGone, nameInvalid
    }
    // One word, so that a call that may throw costs its callers no room for the parts, and passing an error on costs one move.
    private let parts: Parts

    private final class Parts: Sendable {
        let code: Code
        let message: String
        let path: String?
        let errno: Int32?
        let removed: Int?

        init(_ code: Code, _ message: String, _ path: String?, _ errno: Int32?, _ removed: Int?) {
            self.code = code
            self.message = message
            self.path = path
            self.errno = errno
            self.removed = removed
        }
    }

    /// What went wrong.
    public var code: Code { parts.code }
    /// What happened and what to do, in a sentence.
    public var message: String { parts.message }
    /// The file or directory that it is about.
    public var path: String? { parts.path }
    /// The system's own number for it, where a system call failed.
    public var errno: Int32? { parts.errno }
    /// How many rows were removed before a removal of many was cut short; they stay removed.
    public var removed: Int? { parts.removed }

    /// An error with its parts.
    @inline(never)
    public init(_ code: Code, _ message: String, path: String? = nil, errno: Int32? = nil, removed: Int? = nil) {
        parts = Parts(code, message, path, errno, removed)
    }

    /// Compares the parts.
    public static func == (a: EngineError, b: EngineError) -> Bool {
        (a.code, a.message, a.path) == (b.code, b.message, b.path) && (a.errno, a.removed) == (b.errno, b.removed)
    }

    /// The same error, of a removal of many that had removed this many rows.
    public func after(removing removed: Int) -> EngineError {
        EngineError(code, message, path: path, errno: errno, removed: removed)
    }

    /// The error that a failed system call means to the caller of the store.
    package init(_ error: SystemError) {
        let code: Code
        let advice: String
        switch error.errno {
        case ErrorNumber.noSpace, ErrorNumber.quota, ErrorNumber.fileTooLarge:
            (code, advice) = (.diskFull, "the disk is full; free some space and try again")
        case ErrorNumber.tooManyOpenFiles, ErrorNumber.tooManyOpenFilesInSystem:
            (code, advice) = (.tooManyOpenFiles, "no file descriptor is left; raise the limit or close files")
        case ErrorNumber.accessDenied, ErrorNumber.notPermitted:
            (code, advice) = (.io, "this user may not do that; check owner and permissions")
        case ErrorNumber.readOnlyFileSystem:
            (code, advice) = (.readOnly, "the file system is mounted read-only")
        case ErrorNumber.tooManyLinks:
            (code, advice) = (
                .insecureDirectory, "a symbolic link stands where a file or directory of the store should be"
            )
        case ErrorNumber.notDirectory:
            (code, advice) = (.io, "something on the path is not a directory")
        case ErrorNumber.noMemory:
            (code, advice) = (.limitReached, "the system has no memory or address space left")
        case ErrorNumber.notFound:
            (code, advice) = (.io, "a file or directory on the path isn't there")
        case ErrorNumber.nameTooLong:
            (code, advice) = (.io, "the path, or a name in it, is longer than the file system allows")
        case ErrorNumber.isDirectory:
            (code, advice) = (.io, "a directory stands where a file should be")
        case ErrorNumber.exists:
            (code, advice) = (.io, "something stands already where a file or directory should be made")
        case ErrorNumber.badDescriptor:
            (code, advice) = (.io, "something else in this process closed the file, which wasn't its own")
        case ErrorNumber.inputOutput:
            (code, advice) = (.io, "the disk reported an error; look at the system's log")
        default:
            (code, advice) = (.io, "the system reported error \(error.errno)")
        }
        self.init(code, "\(error.call) failed: \(advice)", path: error.path, errno: error.errno)
    }
}
