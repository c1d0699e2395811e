@testable import DiskCacheCore

/// The operations, each done to the cache and to the model.
extension ModelRun {
    struct Abandoned: Error {}

    // MARK: Reading

    func get(_ key: ModelKey) throws {
        let row = model.live(key)
        let like = row?.value ?? .text("")
        let found = try cache.get(key.native, like: like)
        if let row {
            try expect(
                found.map { ModelValue.same($0, row.value) } ?? false,
                "get \(key): \(String(describing: found)), not \(row.value)")
        } else {
            try expect(found == nil, "get \(key): \(String(describing: found)), though missing")
        }
    }

    func entry(_ key: ModelKey) throws {
        let row = model.live(key)
        try compare(key, row, try cache.entry(key.native, like: row?.value ?? .int(0), pop: false), popped: false)
    }

    private func compare(_ key: ModelKey, _ row: Model.Row?, _ found: Entry<ModelValue>?, popped: Bool) throws {
        guard let row else {
            return try expect(found == nil, "entry \(key): \(String(describing: found)), though missing")
        }
        guard let found else { throw ModelFailure(description: "entry \(key): missing, not \(row)") }
        try expect(ModelValue.same(found.value, row.value), "entry \(key): \(found.value), not \(row.value)")
        let storedAt = Int64((found.storedAt * 1000).rounded())
        try expect(storedAt == row.storedAt, "entry \(key): stored at \(storedAt), not \(row.storedAt)")
        let expires = found.expires.map { Int64(($0 * 1_000_000).rounded()) }
        let wanted = row.expires
        // A double holds microseconds of our time exactly to one.
        try expect(
            (expires == nil) == (wanted == nil) && abs((expires ?? 0) - (wanted ?? 0)) <= 1,
            "entry \(key): expires \(String(describing: expires)), not \(String(describing: wanted))")
        try expect(
            found.tag == row.tag,
            "entry \(key): tag \(String(describing: found.tag)), not \(String(describing: row.tag))")
        try expect(found.byteCount == (try row.value.raw().count), "entry \(key): \(found.byteCount) bytes")
        try expect(
            (found.path != nil) == (row.isFile && !popped), "entry \(key): path \(String(describing: found.path))")
    }

    func lend(_ key: ModelKey) throws {
        let bytes = try cache.withValue(key.native) { span in span.withUnsafeBytes { Array($0) } }
        try expect(
            bytes == (try model.live(key)?.value.raw()), "withValue \(key): \(String(describing: bytes?.count)) bytes")
    }

    func read(_ key: ModelKey) throws {
        let row = model.live(key)
        let reader = try cache.open(key.native)
        guard let row, let reader else {
            return try expect(reader == nil && row == nil, "open \(key): \(reader == nil)")
        }
        let raw = try row.value.raw()
        try expect(reader.count == raw.count, "open \(key): \(reader.count) bytes, not \(raw.count)")
        try expect((reader.path != nil) == row.isFile, "open \(key): path \(String(describing: reader.path))")
        var bytes: [UInt8] = []
        if chance(2) { bytes = try reader.next(maximum: Int.random(in: 1...100, using: &random)) ?? [] }
        bytes += try reader.readAll()
        try expect(bytes == raw, "open \(key): other bytes")
    }

    func misread(_ key: ModelKey) throws {
        guard let row = model.live(key) else { return }
        let pops = chance(2)
        note("misread \(key), pop \(pops)")
        // What is taken back again counts for the store times.
        if pops { _ = model.stamp() }
        try expect(.typeMismatch, "misread \(key), \(row.value)") {
            try cache.misread(key.native, row.value, pop: pops)
        }
    }

    func contains() throws {
        let key = key()
        try expect(try cache.contains(key.native) == (model.live(key) != nil), "contains \(key)")
    }

    func getMany() throws {
        let keys = anyKeys(Int.random(in: 0..<6, using: &random)).filter { key in
            guard let row = model.live(key) else { return true }
            if case .bytes = row.value { return true }
            return false
        }
        let found = try cache.getMany(keys.compactMap(\.any), as: [UInt8].self)
        let wanted = try keys.map { try model.live($0)?.value.raw() }
        try expect(found == wanted, "getMany \(keys)")
    }

    func figures() throws {
        try expect(try cache.count == model.rows.count, "count \(try cache.count), \(model.rows.count) expected")
        try expect(try cache.volume > 0, "no volume")
        try expect(try cache.settings.minFileSize == model.minFileSize, "minFileSize \(try cache.settings.minFileSize)")
    }

    // MARK: Writing

    func set() throws {
        let (key, value, expiry, tag) = (key(), value(), expiry(), tag())
        note("set \(key) = \(value), \(expiry), tag \(tag.map { "\($0)" } ?? "none")")
        _ = try model.put(key, value, expiry, tag)
        try expect(try cache.store(key.native, value, expiry.expiration, tag, add: false), "set \(key): false")
    }

    func add() throws {
        let (key, value, expiry, tag) = (key(), value(), expiry(), tag())
        let wanted = try model.put(key, value, expiry, tag, add: true)
        note("add \(key) = \(value), \(expiry): \(wanted)")
        try expect(
            try cache.store(key.native, value, expiry.expiration, tag, add: true) == wanted, "add \(key): not \(wanted)"
        )
    }

    func stream() throws {
        let (key, first, second, expiry, tag) = (key(), bytes(), bytes(), expiry(), tag())
        note("stream \(key) = \(first.count) + \(second.count), \(expiry)")
        _ = try model.put(key, .bytes(first + second), expiry, tag, stream: true)
        try cache.set(key.native, reading: ChunkSource([first, [], second]), expire: expiry.expiration, tag: tag)
        struct Broken: ByteSource {
            mutating func next(maximum: Int) throws -> [UInt8]? { throw Abandoned() }
        }
        do {
            try cache.set(key.native, reading: Broken())
            throw ModelFailure(description: "a broken stream was stored")
        } catch is Abandoned {}
    }

    func delete() throws {
        let key = key()
        let wanted = model.delete(key)
        note("delete \(key): \(wanted)")
        try expect(try cache.delete(key.native) == wanted, "delete \(key): not \(wanted)")
    }

    func pop() throws {
        let key = key()
        let row = model.live(key)
        note("pop \(key)")
        _ = model.delete(key)
        try compare(key, row, try cache.entry(key.native, like: row?.value ?? .int(0), pop: true), popped: true)
    }

    func touch() throws {
        let (key, chosen) = (key(), expiry())
        let expiry: Model.Expiry = chosen.expiration == nil ? .never : chosen
        let wanted = model.touch(key, expiry)
        note("touch \(key), \(expiry): \(wanted)")
        try expect(
            try cache.touch(key.native, expire: expiry.expiration ?? .never) == wanted, "touch \(key): not \(wanted)")
    }

    func increment() throws {
        var (key, delta) = (key(), number())
        if let row = model.live(key), !row.value.isNumber, !chance(8) {
            key = .int(1_000_000 + Int64.random(in: 0..<20, using: &random))
        }
        if case .double(let value) = delta, !value.isFinite { delta = .double(1.5) }
        let start: ModelValue?
        switch (chance(5), delta) {
        case (true, _): start = nil
        case (_, .double): start = .double(0.25)
        default: start = .int(chance(20) ? .max : 7)
        }
        let subtracts = chance(4)
        var wanted: Result<ModelValue, Model.CodeError>
        if subtracts, case .int(.min) = delta {
            wanted = .failure(.init(.overflow))
        } else {
            wanted = try model.increment(key, by: subtracts ? delta.negated : delta, start: start)
        }
        note("\(subtracts ? "decr" : "incr") \(key) by \(delta) from \(start.map { "\($0)" } ?? "nothing"): \(wanted)")
        let result: ModelValue
        do {
            switch delta {
            case .double(let delta):
                var first: Double?
                if case .double(let value) = start { first = value }
                result = .double(
                    subtracts ? try decrement(key.native, delta, first) : try increment(key.native, delta, first))
            case .int(let delta):
                var first: Int64?
                if case .int(let value) = start { first = value }
                result = .int(
                    subtracts ? try decrement(key.native, delta, first) : try increment(key.native, delta, first))
            default: return
            }
        } catch let error as CacheError {
            guard case .failure(let code) = wanted, code.code == error.code else {
                throw ModelFailure(description: "incr \(key): \(error), not \(wanted)")
            }
            return
        }
        guard case .success(let sum) = wanted, ModelValue.same(sum, result) else {
            throw ModelFailure(description: "incr \(key): \(result), not \(wanted)")
        }
    }

    private func increment(_ key: some CacheKey, _ delta: Int64, _ start: Int64?) throws -> Int64 {
        try cache.incr(key, by: delta, default: start)
    }
    private func increment(_ key: some CacheKey, _ delta: Double, _ start: Double?) throws -> Double {
        try cache.incr(key, by: delta, default: start)
    }
    private func decrement(_ key: some CacheKey, _ delta: Int64, _ start: Int64?) throws -> Int64 {
        try cache.decr(key, by: delta, default: start)
    }
    private func decrement(_ key: some CacheKey, _ delta: Double, _ start: Double?) throws -> Double {
        try cache.decr(key, by: delta, default: start)
    }

    func clear() throws {
        note("clear")
        let wanted = model.clear()
        let removed = try cache.clear()
        try expect(removed == wanted, "clear: \(removed), not \(wanted)")
    }

    func configure() throws {
        let changesSize = configuration.minFileSize < 10_000 && chance(2)
        if changesSize { model.minFileSize = Int.random(in: 0...(2 * configuration.minFileSize + 2), using: &random) }
        model.defaultExpire = chance(3) ? Int64.random(in: 1..<60_000_000, using: &random) : nil
        let (size, expire) = (model.minFileSize, model.defaultExpire)
        note("configure minFileSize \(size), defaultExpire \(String(describing: expire))")
        let before = try cache.settings
        try cache.configure { settings in
            settings.minFileSize = size
            settings.defaultExpire = expire.map { .microseconds($0) }
        }
        let after = try cache.settings
        if before != after { _ = model.stamp() }
        try expect(
            after.minFileSize == size && after.defaultExpire == expire.map { .microseconds($0) }, "settings \(after)")
        let cache = cache
        try expect(.invalidSetting, "configure") { try cache.configure { $0.cullLimit = -1 } }
    }

    /// Keys and calls that are refused.
    func refuse() throws {
        let cache = cache
        switch Int.random(in: 0..<4, using: &random) {
        case 0: try expect(.keyInvalid, "NaN") { _ = try cache.set(Double.nan, 1) }
        case 1: try expect(.keyInvalid, "NaN") { _ = try cache.get(Float.nan, as: Int.self) }
        case 2: try expect(.keyInvalid, "NaN tag") { _ = try cache.set(1, 1, tag: .double(.nan)) }
        default:
            try expect(.limitReached, "long tag") {
                _ = try cache.set(1, 1, tag: .string(String(repeating: "x", count: 65_536)))
            }
        }
    }

    // MARK: Several at once

    func setMany() throws {
        let keys = anyKeys(Int.random(in: 0..<8, using: &random))
        let (expiry, tag, fails) = (expiry(), tag(), chance(3))
        var items: [(AnyCacheKey, [UInt8])] = []
        let before = model
        for key in keys {
            guard let any = key.any else { continue }
            let bytes = bytes()
            _ = try model.put(key, .bytes(bytes), expiry, tag)
            items.append((any, bytes))
        }
        note("setMany \(keys), \(expiry), fails \(fails)")
        let cache = cache
        if fails {
            model.restore(before)
            items.append((.double(.nan), []))
            items.append((.int(1), [1]))
            try expect(.keyInvalid, "setMany") { try cache.setMany(items, expire: expiry.expiration, tag: tag) }
        } else {
            try cache.setMany(items, expire: expiry.expiration, tag: tag)
        }
    }

    func deleteMany() throws {
        let keys = anyKeys(Int.random(in: 0..<8, using: &random))
        let fails = chance(3)
        let before = model
        let wanted = keys.reduce(0) { model.delete($1) ? $0 + 1 : $0 }
        note("deleteMany \(keys): \(wanted), fails \(fails)")
        let cache = cache
        if fails {
            model.restore(before)
            try expect(.keyInvalid, "deleteMany") {
                try cache.deleteMany(keys.compactMap(\.any) + [.double(.nan), .int(1)])
            }
        } else {
            try expect(try cache.deleteMany(keys.compactMap(\.any)) == wanted, "deleteMany: not \(wanted)")
        }
    }

    /// Reads, does other things in between, and stores: all of it or nothing.
    func update() throws {
        guard depth < 3 else { return }
        let key = key()
        let kind = model.live(key)?.value ?? value()
        switch kind {
        case .int(let value): try update(key.native, key, value &+ 1, Int64(3)) { .int($0) }
        case .text: try update(key.native, key, text(), "start") { .text($0) }
        case .bytes: try update(key.native, key, bytes(), [UInt8]()) { .bytes($0) }
        case .sample(var sample):
            sample.numbers.append(sample.numbers.count)
            try update(key.native, key, sample, sample) { .sample($0) }
        case .null, .bool, .unsigned, .double:
            guard model.live(key) != nil else { return }
            let cache = cache
            try expect(.typeMismatch, "update \(key)") { try cache.update(key.native, default: "") { $0 += "x" } }
        }
    }

    private func update<V: Codable & Equatable>(
        _ native: some CacheKey, _ key: ModelKey, _ new: V, _ start: V, _ make: (V) -> ModelValue
    ) throws {
        let fails = chance(3)
        let inner = chance(3) ? 0 : Int.random(in: 1...5, using: &random)
        let row = model.live(key)
        let before = model
        note("update \(key) = \(make(new)), \(inner) inside, fails \(fails)")
        depth += 1
        defer { depth -= 1 }
        do {
            try cache.update(native, default: start) { (value: inout V) throws in
                let read = make(value)
                try expect(ModelValue.same(read, row?.value ?? make(start)), "update \(key) began with \(read)")
                for _ in 0..<inner { try step() }
                value = new
                if fails { throw Abandoned() }
            }
        } catch is Abandoned {
            model.restore(before)
            note("abandoned")
            return
        }
        try model.replace(key, make(new), row?.expires, row?.tag)
        note("updated")
    }
}

extension ModelValue {
    var isNumber: Bool {
        switch self {
        case .int, .double: true
        default: false
        }
    }

    var negated: ModelValue {
        switch self {
        case .int(let value): .int(0 &- value)
        case .double(let value): .double(-value)
        default: self
        }
    }
}
