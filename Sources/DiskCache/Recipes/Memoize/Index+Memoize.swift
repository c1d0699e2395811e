public import DiskCacheCore

extension Index where Key == AnyCacheKey {
    /// A function that keeps its results in this index: they neither expire nor are they evicted.
    ///
    /// ```swift
    /// let results = try Index<AnyCacheKey, Report>(directory: "reports")
    /// let report = results.memoize("report") { (year: Int) in try makeReport(year) }
    /// ```
    ///
    /// They are items of the index like others, under the keys that `key(for:)` gives. All else is as for the `memoize` of a ``Cache``.
    public func memoize<each Argument: Encodable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        singleFlight: SingleFlight = .process,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @Sendable (repeat each Argument) throws -> Value
    ) -> Memoized<repeat each Argument, Value> {
        store.cache.memoize(
            name, labels: labels, ignoring: ignoring, typed: typed, singleFlight: singleFlight, file: file,
            function: function, line: line, column: column, body)
    }

    /// A function of tasks that keeps its results in this index; as the other `memoize`.
    public func memoize<each Argument: Encodable & Sendable>(
        _ name: String? = nil, labels: [String] = [], ignoring: [MemoizedArgument] = [], typed: Bool = false,
        singleFlight: SingleFlight = .process,
        file: String = #fileID, function: String = #function, line: UInt = #line, column: UInt = #column,
        _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Value
    ) -> AsyncMemoized<repeat each Argument, Value> {
        store.cache.memoize(
            name, labels: labels, ignoring: ignoring, typed: typed, singleFlight: singleFlight, file: file,
            function: function, line: line, column: column, body)
    }
}
