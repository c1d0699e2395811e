@testable import DiskCacheCore

/// What a cache should hold: a dictionary, and the rules of BEHAVIOUR in the plainest form.
struct Model {
    struct Row {
        var key: ModelKey
        var value: ModelValue
        /// Milliseconds since 1970.
        var storedAt: Int64
        /// Microseconds since 1970.
        var expires: Int64?
        var tag: DiskCacheCore.Tag?
        var isFile: Bool
        /// Insertion order.
        var order: Int
    }

    /// When to expire, as a caller gives it.
    enum Expiry: CustomStringConvertible {
        case byDefault
        case never
        /// Microseconds from now.
        case after(Int64)
        /// Seconds since 1970.
        case at(Double)

        var expiration: Expiration? {
            switch self {
            case .byDefault: nil
            case .never: .never
            case .after(let microseconds): .after(.microseconds(microseconds))
            case .at(let seconds): .at(secondsSinceEpoch: seconds)
            }
        }

        var description: String {
            switch self {
            case .byDefault: "by default"
            case .never: "never"
            case .after(let microseconds): "after \(microseconds) µs"
            case .at(let seconds): "at \(seconds)"
            }
        }
    }

    var rows: [ModelKey.Identity: Row] = [:]
    var now: Int64
    let epoch: Int64
    private var lastStored: Int64
    private var nextOrder = 0
    var minFileSize: Int
    var defaultExpire: Int64?

    init(now: Int64, minFileSize: Int) {
        self.now = now
        epoch = now / 1000
        lastStored = epoch
        self.minFileSize = minFileSize
    }

    /// Store times never go back, whatever the clock does.
    mutating func stamp() -> Int64 {
        lastStored = max(lastStored, now / 1000)
        return lastStored
    }

    /// Everything as it was, but for the store times.
    mutating func restore(_ old: Model) {
        let stored = lastStored
        let clock = now
        self = old
        lastStored = stored
        now = clock
    }

    func live(_ key: ModelKey) -> Row? {
        guard let row = rows[key.identity], !(row.expires.map { $0 <= now } ?? false) else { return nil }
        return row
    }

    func microseconds(_ expiry: Expiry) -> Int64? {
        switch expiry {
        case .byDefault: defaultExpire.map { max(1, now + $0) }
        case .never: nil
        case .after(let microseconds): max(1, now + microseconds)
        case .at(let seconds): max(1, Int64((seconds * 1_000_000).rounded(.up)))
        }
    }

    private func isFile(_ value: ModelValue) throws -> Bool { try value.mayBeFile && value.raw().count >= minFileSize }

    /// `set`, `add`, a stream.
    mutating func put(
        _ key: ModelKey, _ value: ModelValue, _ expiry: Expiry, _ tag: DiskCacheCore.Tag?, add: Bool = false,
        stream: Bool = false
    ) throws -> Bool {
        if add && live(key) != nil { return false }
        let expires = microseconds(expiry)
        if let expires, expires <= now {
            if rows.removeValue(forKey: key.identity) != nil { _ = stamp() }
            return true
        }
        try replace(key, value, expires, tag, stream: stream)
        return true
    }

    /// A new value in the row's place; a new row at the end.
    mutating func replace(
        _ key: ModelKey, _ value: ModelValue, _ expires: Int64?, _ tag: DiskCacheCore.Tag?, stream: Bool = false
    ) throws {
        let old = rows[key.identity]
        let order = old?.order ?? nextOrder
        if old == nil { nextOrder += 1 }
        rows[key.identity] = Row(
            key: key, value: value, storedAt: stamp(), expires: expires, tag: tag, isFile: try stream || isFile(value),
            order: order)
    }

    mutating func delete(_ key: ModelKey) -> Bool {
        guard live(key) != nil else { return false }
        rows.removeValue(forKey: key.identity)
        _ = stamp()
        return true
    }

    mutating func touch(_ key: ModelKey, _ expiry: Expiry) -> Bool {
        guard live(key) != nil else { return false }
        let expires = expiry.expiration == nil ? nil : microseconds(expiry)
        rows[key.identity]?.expires = expires
        return true
    }

    /// The sum, or the code of the error; the value stays then.
    mutating func increment(_ key: ModelKey, by delta: ModelValue, start: ModelValue?) throws -> Result<
        ModelValue, CodeError
    > {
        let row = live(key)
        guard let old = row?.value ?? start else { return .failure(CodeError(.keyNotFound)) }
        let sum: ModelValue
        switch (old, delta) {
        case (.int(let a), .int(let b)):
            let (value, overflow) = a.addingReportingOverflow(b)
            if overflow { return .failure(CodeError(.overflow)) }
            sum = .int(value)
        case (.int(let a), .double(let b)): sum = .double(Double(a) + b)
        case (.double(let a), .double(let b)): sum = .double(a + b)
        case (.unsigned, _): return .failure(CodeError(.overflow))
        default: return .failure(CodeError(.notANumber))
        }
        try replace(key, sum, row?.expires, row?.tag)
        return .success(sum)
    }

    mutating func clear() -> Int {
        defer { rows.removeAll() }
        _ = stamp()
        return rows.count
    }

    struct CodeError: Error {
        let code: CacheError.Code
        init(_ code: CacheError.Code) { self.code = code }
    }
}
