import DiskCacheCore

/// Verbs about one item or a list of them.
extension ShellVerb {
    static let items: [ShellVerb] = [
        ShellVerb("set", ["key", "value"], ["expire", "tag"]) { session, request in
            let (key, expire, tag) = (try request.key(), try request.expire(), try request.tag())
            let value = try request.value()
            return .bool(try session.write(key) { try $0.set(key, value, expire: expire, tag: tag) } ?? false)
        },
        ShellVerb("add", ["key", "value"], ["expire", "tag"]) { session, request in
            let (key, expire, tag) = (try request.key(), try request.expire(), try request.tag())
            let value = try request.value()
            return .bool(try session.write(key) { try $0.add(key, value, expire: expire, tag: tag) } ?? false)
        },
        ShellVerb("delete", ["key"]) { session, request in
            let key = try request.key()
            return .bool(try session.write(key) { try $0.delete(key) } ?? false)
        },
        ShellVerb("contains", ["key"]) { session, request in
            let key = try request.key()
            return .bool(
                try session.inSnapshot(key) { try $0.contains(key) } ?? session.cache.shard(for: key).contains(key))
        },
        ShellVerb("touch", ["key"], ["expire"]) { session, request in
            let (key, expire) = (try request.key(), try request.expire() ?? .never)
            return .bool(try session.write(key) { try $0.touch(key, expire: expire) } ?? false)
        },
        ShellVerb("get", ["key"], ["entry"]) { session, request in
            let key = try request.key()
            if try request.bool("entry", default: false) {
                let entry = try session.inSnapshot(key) { try $0.entry(key, as: AnyValue.self) }
                return try (entry ?? session.cache.shard(for: key).entry(key)).map { try JSON(key, $0) } ?? .absent
            }
            return try session.get(key).map { try JSON($0) } ?? .absent
        },
        ShellVerb("pop", ["key"], ["entry"]) { session, request in
            let key = try request.key()
            if try request.bool("entry", default: false) {
                let entry = try session.write(key) { try $0.popEntry(key, as: AnyValue.self) } ?? nil
                return try entry.map { try JSON(key, $0) } ?? .absent
            }
            let value = try session.write(key) { try $0.pop(key, as: AnyValue.self) } ?? nil
            return try value.map { try JSON($0) } ?? .absent
        },
    ]

    static let counters: [ShellVerb] = [
        ShellVerb("incr", ["key"], ["by", "default"]) { session, request in
            let (key, arguments) = (try request.key(), try CountArguments(request))
            return try session.write(key) { cache in
                switch arguments {
                case .integer(let by, let start): .integer(try cache.incr(key, by: by, default: start))
                case .float(let by, let start): .float(try cache.incr(key, by: by, default: start))
                }
            } ?? .absent
        },
        ShellVerb("decr", ["key"], ["by", "default"]) { session, request in
            let (key, arguments) = (try request.key(), try CountArguments(request))
            return try session.write(key) { cache in
                switch arguments {
                case .integer(let by, let start): .integer(try cache.decr(key, by: by, default: start))
                case .float(let by, let start): .float(try cache.decr(key, by: by, default: start))
                }
            } ?? .absent
        },
    ]

    static let many: [ShellVerb] = [
        ShellVerb("setMany", ["items"]) { session, request in
            let items = try request.array("items").map { item -> (AnyCacheKey, ShellValue) in
                guard case .array(let pair) = item, pair.count == 2 else {
                    throw BadRequest("an item is an array of key and value")
                }
                return (try ShellValue.key(pair[0]), try ShellValue(pair[1]))
            }
            for items in try session.cache.grouped(items, by: \.0) {
                try session.write(items[0].0) { try $0.setMany(items) }
            }
            return .bool(true)
        },
        ShellVerb("getMany", ["keys"]) { session, request in
            let keys = try request.array("keys").map(ShellValue.key)
            return .array(try keys.map { try session.get($0).map { try JSON($0) } ?? .absent })
        },
        ShellVerb("deleteMany", ["keys"]) { session, request in
            let groups = try session.cache.grouped(try request.array("keys").map(ShellValue.key), by: \.self)
            return .integer(
                try groups.reduce(0) { count, keys in
                    count + Int64(try session.write(keys[0]) { try $0.deleteMany(keys) } ?? 0)
                })
        },
    ]
}

/// What to count by, and from where: both integers, or both floats if one of them is one.
private enum CountArguments {
    case integer(by: Int64, start: Int64?)
    case float(by: Double, start: Double?)

    init(_ request: ShellRequest) throws {
        let by = request["by"] ?? .integer(1)
        let start = request["default"] ?? .integer(0)
        switch (by, start) {
        case (.integer(let by), .integer(let start)): self = .integer(by: by, start: start)
        case (.integer(let by), .null): self = .integer(by: by, start: nil)
        case (_, .null): self = .float(by: try Self.number(by, "by"), start: nil)
        default: self = .float(by: try Self.number(by, "by"), start: try Self.number(start, "default"))
        }
    }

    private static func number(_ json: JSON, _ name: String) throws -> Double {
        switch json {
        case .integer(let value): return Double(value)
        case .float(let value): return value
        case .object:
            if case .double(let value) = try ShellValue.key(json) { return value }
        default: break
        }
        throw BadRequest("\(name) is a number")
    }
}

extension ShellSession {
    /// A value, of the open snapshot if there is one.
    fileprivate func get(_ key: AnyCacheKey) throws -> AnyValue? {
        try inSnapshot(key) { try $0.get(key, as: AnyValue.self) } ?? cache.shard(for: key).get(key, as: AnyValue.self)
    }

    /// Runs a write of a key in the part that has it; nil: it was dropped.
    @discardableResult
    fileprivate func write<R>(_ key: AnyCacheKey, _ body: (Cache) throws -> R) throws -> R? {
        try cache.write(key, retry: false, body)
    }
}

extension Cache {
    fileprivate func set(_ key: AnyCacheKey, _ value: ShellValue, expire: Expiration?, tag: Tag?) throws -> Bool {
        switch value {
        case .stored(let value): return try set(key, value, expire: expire, tag: tag)
        case .large(let count): try set(key, reading: LargeSource(count: count), expire: expire, tag: tag)
        case .file(let path):
            let file = try Platform.openFile(Array(path.utf8))
            try withExtendedLifetime(file) {
                try set(key, reading: FileDescriptorSource(file.number), expire: expire, tag: tag)
            }
        }
        return true
    }

    fileprivate func add(_ key: AnyCacheKey, _ value: ShellValue, expire: Expiration?, tag: Tag?) throws -> Bool {
        switch value {
        case .stored(let value): return try add(key, value, expire: expire, tag: tag)
        case .large(let count): return try add(key, reading: LargeSource(count: count), expire: expire, tag: tag)
        case .file(let path):
            let file = try Platform.openFile(Array(path.utf8))
            return try withExtendedLifetime(file) {
                try add(key, reading: FileDescriptorSource(file.number), expire: expire, tag: tag)
            }
        }
    }

    /// As `setMany` for values in memory; those that are read as they are stored need a transaction around them.
    fileprivate func setMany(_ items: [(AnyCacheKey, ShellValue)]) throws {
        let stored = items.compactMap { key, value -> (AnyCacheKey, AnyValue)? in
            if case .stored(let value) = value { (key, value) } else { nil }
        }
        if stored.count == items.count { return try setMany(stored) }
        try beginTransaction()
        do {
            for (key, value) in items { _ = try set(key, value, expire: nil, tag: nil) }
        } catch {
            try rollBackTransaction()
            throw error
        }
        try commitTransaction()
    }
}
