internal import DiskCacheEngine

/// Runs `body`; what the engine throws becomes a `CacheError`.
@inline(__always)
func rethrowing<R>(_ body: () throws(EngineError) -> R) throws -> R {
    do throws(EngineError) {
        return try body()
    } catch {
        throw CacheError(error)
    }
}

extension CacheError {
    /// The error of the engine, with the same words.
    @inline(never)
    init(_ error: EngineError) {
        let code: Code
        switch error.code {
        case .closed: code = .closed
        case .timeout: code = .timeout
        case .corrupted: code = .corrupted
        case .diskFull: code = .diskFull
        case .io: code = .io
        case .unsupportedFormat: code = .unsupportedFormat
        case .networkFileSystem: code = .networkFileSystem
        case .readOnly: code = .readOnly
        case .poisoned: code = .poisoned
        case .directoryRemoved: code = .directoryRemoved
        case .foreignDirectory: code = .foreignDirectory
        case .insecureDirectory: code = .insecureDirectory
        case .wrongKind: code = .wrongKind
        case .limitReached: code = .limitReached
        case .tooManyOpenFiles: code = .tooManyOpenFiles
        case .keyTooLarge: code = .keyTooLarge
        case .valueTooLarge: code = .valueTooLarge
        case .keyNotFound: code = .keyNotFound
        case .notANumber: code = .notANumber
        case .overflow: code = .overflow
        case .invalidSetting: code = .invalidSetting
        case .serializerMismatch: code = .serializerMismatch
        case .inTransaction: code = .inTransaction
        case .snapshotExpired: code = .snapshotExpired
        case .queueFull: code = .queueFull
        case .targetExists: code = .targetExists
        case .positionGone: code = .positionGone
        case .nameInvalid: code = .nameInvalid
        case .shardCountMismatch: code = .shardCountMismatch
        }
        self.init(code, error.message, path: error.path, errno: error.errno, removed: error.removed)
    }
}
