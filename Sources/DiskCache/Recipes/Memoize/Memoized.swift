public import DiskCacheCore

/// A function whose results are kept in a cache, made by `memoize` of the cache.
///
/// ```swift
/// let area = cache.memoize("area", expire: .after(.seconds(3600))) { (width: Int, height: Int) in width * height }
/// let size = try area(3, 4)
/// ```
public struct Memoized<each Argument: Encodable & Sendable, Output: Codable & Sendable>: Sendable {
    let memo: Memo<Output>
    let function: @Sendable (repeat each Argument) throws -> Output

    /// The result of a call: the stored one, or a new one, which is stored.
    ///
    /// Throws what the function throws, and as `Cache.get` and `Cache.set`. Errors aren't stored; all who waited for the same
    /// computation get the same one.
    public func callAsFunction(_ arguments: repeat each Argument) throws -> Output {
        let key = try storedKey(repeat each arguments)
        let (function, all) = (function, (repeat each arguments))
        return try memo.value(key) { try function(repeat each all) }
    }

    /// The key under which the result of a call is stored; in a namespace the key there, without prefix and version. Throws `unencodable`,
    /// and `invalidSetting` if labels or ignored arguments aren't the function's, or if it has no name that is its own.
    public func key(for arguments: repeat each Argument) throws -> AnyCacheKey {
        try memo.keys.key(list(repeat each arguments))
    }

    /// Removes the result of a call; whether there was one. One that is being computed by this function, or a copy of
    /// it, won't be stored; one that another `memoize` of the same name or another process computes will be.
    @discardableResult
    public func invalidate(_ arguments: repeat each Argument) throws -> Bool {
        try memo.invalidate(storedKey(repeat each arguments))
    }

    /// Computes the result of a call now, whatever is stored, and stores it. One that is being computed already is treated as by
    /// `invalidate`.
    @discardableResult
    public func refresh(_ arguments: repeat each Argument) throws -> Output {
        let key = try storedKey(repeat each arguments)
        return try memo.refresh(key) { try function(repeat each arguments) }
    }

    private func storedKey(_ arguments: repeat each Argument) throws -> AnyCacheKey {
        try memo.keys.storedKey(list(repeat each arguments))
    }
}

extension CacheProtocol {
    /// A function that keeps its results in this cache.
    ///
    /// ```swift
    /// let thumbnail = cache.memoize("thumbnail", labels: ["path", "size", "trace"], ignoring: ["trace"]) {
    ///     (path: String, size: Int, trace: Bool) in try makeThumbnail(path, size)
    /// }
    /// let image = try thumbnail("cat.jpg", 64, false)
    /// ```
    ///
    /// A stored result is as good as a computed one, nil too. If the type of the result has changed, so that what is stored can't be
    /// read, it is computed again.
    ///
    /// - Parameters:
    ///   - name: Names the function: the same name, the same results, in every process. nil: file and function in which `memoize` is called,
    ///     by `file` and `function`. That is for one function there: calls of a second one throw `invalidSetting`.
    ///   - labels: The arguments' labels, in order. An argument with one is known in keys by that instead of its place; an empty one is none.
    ///   - ignoring: Arguments, by place or label, that don't matter for the result and stand in no key.
    ///   - typed: Whether the types of the arguments stand in the keys as well, by name. Without that, arguments that are serialised alike are
    ///     the same one: an `Int` and an `Int8` of one value, or an enum of texts and its text. An `Int` and a `Double` never are.
    ///   - expire: nil: as the cache's default has it. Zero or less: results are looked up, but not stored.
    ///   - tag: for `evict(tag:)`.
    ///   - recompute: when a result is computed again though there is one.
    ///   - singleFlight: among whom a missing result is computed only once at a time.
    ///   - onRefreshError: told what goes wrong when a result is computed again in the background, on any thread.
    ///   - body: The function. The same arguments are to give the same result.
    public func memoize<each Argument: Encodable & Sendable, Output: Codable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        expire: Expiration? = nil, tag: Tag? = nil, recompute: Recomputation = .whenMissing,
        singleFlight: SingleFlight = .process, onRefreshError: (@Sendable (any Error) -> Void)? = nil,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @Sendable (repeat each Argument) throws -> Output
    ) -> Memoized<repeat each Argument, Output> {
        let name = FunctionName(name, file, function, line: line, column: column)
        let memo = Memo(
            keys: CallKeys(name, labels: labels, ignoring: ignoring, typed: typed),
            results: ResultStore<Output>(cache: self, expire: expire, tag: tag, recomputation: recompute),
            singleFlight: singleFlight, onRefreshError: onRefreshError)
        return Memoized(memo: memo, function: body)
    }
}
