import DiskCacheCore

/// Verbs about one item or a list of them.
extension ShellVerb {
    static let items: [ShellVerb] = [
        ShellVerb("set", ["key", "value"], ["expire", "tag"]) { session, request in
            let (key, expire, tag) = (try request.key(), try request.expire(), try request.tag())
            return .bool(try session.cache.set(key, try request.value(), expire: expire, tag: tag))
        },
        ShellVerb("add", ["key", "value"], ["expire", "tag"]) { session, request in
            let (key, expire, tag) = (try request.key(), try request.expire(), try request.tag())
            return .bool(try session.cache.add(key, try request.value(), expire: expire, tag: tag))
        },
        ShellVerb("delete", ["key"]) { session, request in .bool(try session.cache.delete(try request.key())) },
        ShellVerb("contains", ["key"]) { session, request in
            let key = try request.key()
            return .bool(try session.inSnapshot { try $0.contains(key) } ?? session.cache.contains(key))
        },
        ShellVerb("touch", ["key"], ["expire"]) { session, request in
            .bool(try session.cache.touch(try request.key(), expire: try request.expire() ?? .never))
        },
        ShellVerb("get", ["key"], ["entry"]) { session, request in
            let key = try request.key()
            if try request.bool("entry", default: false) {
                let entry = try session.inSnapshot { try $0.entry(key, as: AnyValue.self) }
                return try (entry ?? session.cache.entry(key)).map { try JSON(key, $0) } ?? .absent
            }
            return try session.get(key).map { try JSON($0) } ?? .absent
        },
        ShellVerb("pop", ["key"], ["entry"]) { session, request in
            let key = try request.key()
            if try request.bool("entry", default: false) {
                return try session.cache.popEntry(key, as: AnyValue.self).map { try JSON(key, $0) } ?? .absent
            }
            return try session.cache.pop(key, as: AnyValue.self).map { try JSON($0) } ?? .absent
        },
    ]

    static let counters: [ShellVerb] = [
        ShellVerb("incr", ["key"], ["by", "default"]) { session, request in
            switch try CountArguments(request) {
            case .integer(let by, let start):
                return .integer(try session.cache.incr(try request.key(), by: by, default: start))
            case .float(let by, let start):
                return .float(try session.cache.incr(try request.key(), by: by, default: start))
            }
        },
        ShellVerb("decr", ["key"], ["by", "default"]) { session, request in
            switch try CountArguments(request) {
            case .integer(let by, let start):
                return .integer(try session.cache.decr(try request.key(), by: by, default: start))
            case .float(let by, let start):
                return .float(try session.cache.decr(try request.key(), by: by, default: start))
            }
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
            try session.cache.setMany(items)
            return .bool(true)
        },
        ShellVerb("getMany", ["keys"]) { session, request in
            let keys = try request.array("keys").map(ShellValue.key)
            let values = session.isInSnapshot ? try keys.map(session.get) : try session.cache.getMany(keys)
            return .array(try values.map { try $0.map { try JSON($0) } ?? .absent })
        },
        ShellVerb("deleteMany", ["keys"]) { session, request in
            .integer(Int64(try session.cache.deleteMany(try request.array("keys").map(ShellValue.key))))
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
        try inSnapshot { try $0.get(key, as: AnyValue.self) } ?? cache.get(key, as: AnyValue.self)
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
