public import DiskCacheCore

extension NamespacedCache {
    /// A function that keeps its results in this view of a cache, as ``DiskCacheCore/CacheProtocol/memoize(_:labels:ignoring:typed:expire:tag:recompute:singleFlight:onRefreshError:file:function:line:column:_:)`` does in a
    /// whole one.
    ///
    /// ```swift
    /// let page = pages.memoize("page", expire: .after(.seconds(60))) { (path: String) in try render(path) }
    /// ```
    ///
    /// The results are those of a prefix and a version. `expire`: nil: as the view says. Results are never dropped, also where the view drops
    /// writes. `key(for:)` gives the key in the view: `pages.get(page.key(for: "/about"), as: String.self)`.
    public func memoize<each Argument: Encodable & Sendable, Output: Codable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil, recompute: Recomputation = .whenMissing,
        singleFlight: SingleFlight = .process, onRefreshError: (@Sendable (any Error) -> Void)? = nil,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @Sendable (repeat each Argument) throws -> Output
    ) -> Memoized<repeat each Argument, Output> {
        let name = FunctionName(name, file, function, line: line, column: column)
        let memo = Memo(
            keys: keys(name, labels, ignoring, typed, version),
            results: results(expire, tag, recompute) as ResultStore<Output>,
            singleFlight: singleFlight, onRefreshError: onRefreshError)
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
        let memo = Memo(
            keys: keys(name, labels, ignoring, typed, version),
            results: results(expire, tag, recompute) as ResultStore<Output>,
            singleFlight: singleFlight, onRefreshError: onRefreshError)
        return AsyncMemoized(memo: memo, function: body)
    }

    private func keys(
        _ name: FunctionName, _ labels: [String], _ ignored: [MemoizedArgument], _ isTyped: Bool, _ version: Int?
    ) -> CallKeys {
        CallKeys(name, labels: labels, ignoring: ignored, typed: isTyped) { [self] in
            try keyBeneath($0, version: version)
        }
    }

    private func results<Output>(
        _ expire: Expiration?, _ tag: Tag?, _ recomputation: Recomputation
    ) -> ResultStore<Output> {
        ResultStore(cache: base, expire: expire ?? self.expire, tag: tag, recomputation: recomputation)
    }
}
