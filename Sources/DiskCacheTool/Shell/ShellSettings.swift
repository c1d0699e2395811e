import DiskCacheCore

/// The settings of a cache by their names: on the command line, and in the verb `settings`.
enum ShellSettings {
    /// What `diskcache shell --help` says of them.
    static let help = """
        sizeLimit, minFileSize (bytes), cullLimit (items), evictionPolicy (least-recently-stored, least-recently-used,
        least-frequently-used, none), statistics, tagIndex (true, false), durability (none, normal, full),
        compaction (percent of the store that is dead; 0: off), syncInterval, defaultExpire, timeout (seconds; timeout is this process's own, the others are stored)
        """

    /// Sets one on a configuration to open a cache with.
    static func set(_ name: String, _ value: JSON, on configuration: inout Cache.Configuration) throws {
        switch name {
        case "sizeLimit": configuration.sizeLimit = Int64(try integer(value, name))
        case "cullLimit": configuration.cullLimit = try integer(value, name)
        case "minFileSize": configuration.minFileSize = try integer(value, name)
        case "evictionPolicy": configuration.evictionPolicy = try named(value, name)
        case "durability": configuration.durability = try named(value, name)
        case "statistics": configuration.statistics = try bool(value, name)
        case "tagIndex": configuration.tagIndex = try bool(value, name)
        case "syncInterval": configuration.syncInterval = try duration(value, name)
        case "defaultExpire": configuration.defaultExpire = value == .null ? nil : try duration(value, name)
        case "compaction": configuration.compaction = .whenDead(percent: try integer(value, name))
        case "timeout": configuration.timeout = try duration(value, name)
        default: throw BadRequest("there is no setting \(name)")
        }
    }

    /// Sets one, unless it is `timeout`, on the settings of an open cache.
    static func set(_ name: String, _ value: JSON, on settings: inout Cache.Settings) throws {
        switch name {
        case "sizeLimit": settings.sizeLimit = Int64(try integer(value, name))
        case "cullLimit": settings.cullLimit = try integer(value, name)
        case "minFileSize": settings.minFileSize = try integer(value, name)
        case "evictionPolicy": settings.evictionPolicy = try named(value, name)
        case "durability": settings.durability = try named(value, name)
        case "statistics": settings.statistics = try bool(value, name)
        case "tagIndex": settings.tagIndex = try bool(value, name)
        case "syncInterval": settings.syncInterval = try duration(value, name)
        case "defaultExpire": settings.defaultExpire = value == .null ? nil : try duration(value, name)
        case "compaction": settings.compaction = .whenDead(percent: try integer(value, name))
        case "timeout": _ = try duration(value, name)
        default: throw BadRequest("there is no setting \(name) that can be changed")
        }
    }

    /// All of them, as they are now.
    static func json(_ settings: Cache.Settings, timeout: Duration) -> JSON {
        .object([
            "sizeLimit": .integer(settings.sizeLimit), "evictionPolicy": .text(settings.evictionPolicy.rawValue),
            "cullLimit": .integer(Int64(settings.cullLimit)), "minFileSize": .integer(Int64(settings.minFileSize)),
            "statistics": .bool(settings.statistics), "tagIndex": .bool(settings.tagIndex),
            "durability": .text(settings.durability.rawValue), "syncInterval": .float(settings.syncInterval.seconds),
            "defaultExpire": settings.defaultExpire.map { .float($0.seconds) } ?? .null,
            "compaction": .integer(Int64(settings.compaction.percent)),
            "serializer": .text(settings.serializer), "timeout": .float(timeout.seconds),
        ])
    }

    /// What stands behind `NAME=` on a command line: JSON, or else a text.
    static func parse(_ text: String) -> JSON {
        (try? JSONReader.read(Array(text.utf8)[...])) ?? .text(text)
    }

    private static func integer(_ value: JSON, _ name: String) throws -> Int {
        switch value {
        case .integer(let value): return Int(value)
        case .float(let value):
            if let value = Int(exactly: value) { return value }
        default: break
        }
        throw BadRequest("\(name) is a whole number")
    }

    private static func bool(_ value: JSON, _ name: String) throws -> Bool {
        guard case .bool(let value) = value else { throw BadRequest("\(name) is true or false") }
        return value
    }

    private static func named<V: RawRepresentable & CaseIterable>(_ value: JSON, _ name: String) throws -> V
    where V.RawValue == String {
        let word: String
        switch value {
        case .text(let text): word = text
        default: word = value.line
        }
        guard let result = V(rawValue: word) else {
            throw BadRequest("\(name) is one of " + V.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return result
    }

    /// The duration of so many seconds, as `Duration(clamping:)`.
    static func duration(_ value: JSON, _ name: String) throws -> Duration {
        switch value {
        case .integer(let seconds): return .seconds(clamping: Double(seconds))
        case .float(let seconds) where !seconds.isNaN: return .seconds(clamping: seconds)
        default: throw BadRequest("\(name) is a number of seconds")
        }
    }
}

extension Duration {
    /// So many seconds, at most some hundred thousand years in either direction.
    static func seconds(clamping seconds: Double) -> Duration { .seconds(min(max(seconds, -1e13), 1e13)) }

    /// The duration in seconds.
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
