public import DiskCacheCore

extension NamespacedCache {
    /// A function that keeps its results in this view of a cache, as with the `memoize` of the whole one, which says what is what.
    ///
    /// ```swift
    /// let page = pages.memoize("page", expire: .after(.seconds(60))) { (path: String) in try render(path) }
    /// ```
    ///
    /// The results are those of a prefix and a version. `expire`: nil: as the view says. Results are never dropped, also where the view
    /// drops writes. `key(for:)` gives the key in the view: `pages.get(page.key(for: "/about"), as: String.self)`.
    public func memoize<each Argument: Encodable & Sendable, Output: Codable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil, recompute: Recomputation = .whenMissing,
        singleFlight: SingleFlight = .process, onRefreshError: (@Sendable (any Error) -> Void)? = nil,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @Sendable (repeat each Argument) throws -> Output
    ) -> Memoized<repeat each Argument, Output> {
        let name = FunctionName(name, file, function, line: line, column: column)
        let memo: Memo<Output> = memo(
            CallKeys(name, labels: labels, ignoring: ignoring, typed: typed, beneath: keyBeneath(version)),
            expire, tag, recompute, singleFlight, onRefreshError)
        return Memoized(memo: memo, function: body)
    }

    /// A function of tasks that keeps its results in this view of a cache; as the other `memoize`.
    public func memoize<each Argument: Encodable & Sendable, Output: Codable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil, recompute: Recomputation = .whenMissing,
        singleFlight: SingleFlight = .process, onRefreshError: (@Sendable (any Error) -> Void)? = nil,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Output
    ) -> AsyncMemoized<repeat each Argument, Output> {
        let name = FunctionName(name, file, function, line: line, column: column)
        let memo: Memo<Output> = memo(
            CallKeys(name, labels: labels, ignoring: ignoring, typed: typed, beneath: keyBeneath(version)),
            expire, tag, recompute, singleFlight, onRefreshError)
        return AsyncMemoized(memo: memo, function: body)
    }

    private func keyBeneath(_ version: Int?) -> @Sendable (AnyCacheKey) throws -> AnyCacheKey {
        { try keyBeneath($0, version: version) }
    }

    private func memo<Output>(
        _ keys: CallKeys, _ expire: Expiration?, _ tag: Tag?, _ recompute: Recomputation, _ singleFlight: SingleFlight,
        _ onRefreshError: (@Sendable (any Error) -> Void)?
    ) -> Memo<Output> {
        let results = ResultStore<Output>(
            cache: base, expire: expire ?? self.expire, tag: tag, recomputation: recompute)
        return Memo(keys: keys, results: results, singleFlight: singleFlight, onRefreshError: onRefreshError)
    }
}
