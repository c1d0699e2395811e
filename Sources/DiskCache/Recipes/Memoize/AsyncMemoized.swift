public import DiskCacheCore

/// A function of tasks whose results are kept in a cache; as ``Memoized`` otherwise.
///
/// Who waits is suspended, and no thread of the cooperative pool waits for the disk or for another's computation. A computation is
/// cancelled when all who wait for it are.
public struct AsyncMemoized<each Argument: Encodable & Sendable, Output: Codable & Sendable>: Sendable {
    let memo: Memo<Output>
    let function: @concurrent @Sendable (repeat each Argument) async throws -> Output

    /// The result of a call: the stored one, or a new one, which is stored.
    ///
    /// Throws what the function throws, `cancelled`, and as `Cache.get` and `Cache.set`.
    public func callAsFunction(_ arguments: repeat each Argument) async throws -> Output {
        let key = try storedKey(repeat each arguments)
        let (function, all) = (function, (repeat each arguments))
        return try await memo.value(key) { try await function(repeat each all) }
    }

    /// The key under which the result of a call is stored; as ``Memoized/key(for:)``.
    public func key(for arguments: repeat each Argument) throws -> AnyCacheKey {
        try memo.keys.key(list(repeat each arguments))
    }

    /// Removes the result of a call; whether there was one. One that is being computed by this function, or a copy of
    /// it, won't be stored; one that another `memoize` of the same name or another process computes will be.
    @discardableResult
    public func invalidate(_ arguments: repeat each Argument) async throws -> Bool {
        let (memo, key) = (memo, try storedKey(repeat each arguments))
        return try await RecipeThreads.executor.run { try memo.invalidate(key) }
    }

    /// Computes the result of a call now, whatever is stored, and stores it. One that is being computed already is treated as by
    /// `invalidate`.
    @discardableResult
    public func refresh(_ arguments: repeat each Argument) async throws -> Output {
        let key = try storedKey(repeat each arguments)
        let (function, all) = (function, (repeat each arguments))
        return try await memo.refresh(key) { try await function(repeat each all) }
    }

    private func storedKey(_ arguments: repeat each Argument) throws -> AnyCacheKey {
        try memo.keys.storedKey(list(repeat each arguments))
    }
}

extension CacheProtocol {
    /// A function of tasks that keeps its results in this cache; as the `memoize` of a function that isn't.
    ///
    /// ```swift
    /// let page = cache.memoize("page", expire: .after(.seconds(60)), recompute: .early()) { (url: String) in try await fetch(url) }
    /// let text = try await page("https://example.org")
    /// ```
    public func memoize<each Argument: Encodable & Sendable, Output: Codable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        expire: Expiration? = nil, tag: Tag? = nil, recompute: Recomputation = .whenMissing,
        singleFlight: SingleFlight = .process, onRefreshError: (@Sendable (any Error) -> Void)? = nil,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Output
    ) -> AsyncMemoized<repeat each Argument, Output> {
        let name = FunctionName(name, file, function, line: line, column: column)
        let memo = Memo(
            keys: CallKeys(name, labels: labels, ignoring: ignoring, typed: typed),
            results: ResultStore<Output>(cache: self, expire: expire, tag: tag, recomputation: recompute),
            singleFlight: singleFlight, onRefreshError: onRefreshError)
        return AsyncMemoized(memo: memo, function: body)
    }
}
