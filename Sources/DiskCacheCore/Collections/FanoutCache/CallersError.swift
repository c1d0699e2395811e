/// Keeps what a caller's own code throws while a verb runs it apart from what the verb throws: a `timeout` of another lock of the caller's
/// isn't a write that is dropped.
final class CallersError {
    private var error: (any Error)?

    /// Runs the caller's code.
    func run<R>(_ code: () throws -> R) throws -> R {
        error = nil
        do {
            return try code()
        } catch {
            self.error = error
            throw error
        }
    }

    /// What a verb gives, or what the caller's code threw in it; what the verb itself throws is thrown.
    func result<R>(of verb: () throws -> R) throws -> Result<R, any Error> {
        do {
            return .success(try verb())
        } catch {
            guard let own = self.error else { throw error }
            return .failure(own)
        }
    }

    /// A source of the caller's.
    struct Source<Base: ByteSource>: ByteSource {
        private var base: Base
        private let own: CallersError

        init(_ base: Base, _ own: CallersError) { (self.base, self.own) = (base, own) }

        mutating func next(maximum: Int) throws -> [UInt8]? { try own.run { try base.next(maximum: maximum) } }
    }
}

extension PartedCache {
    /// Stores what a source of the caller's gives, unless the key is there and that is asked for. False: nothing was stored, or it was
    /// dropped, after the source was read.
    func store(
        _ source: some ByteSource, _ key: some CacheKey, _ expire: Expiration?, _ tag: Tag?, onlyIfMissing: Bool,
        retry: Bool
    ) throws -> Bool {
        let own = CallersError()
        let done = try write(key, retry: retry) { part in
            try own.result {
                let source = CallersError.Source(source, own)
                if onlyIfMissing { return try part.add(key, reading: source, expire: expire, tag: tag) }
                try part.set(key, reading: source, expire: expire, tag: tag)
                return true
            }
        }
        return try done?.get() ?? false
    }
}
