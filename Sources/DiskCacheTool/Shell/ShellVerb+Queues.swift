import DiskCacheCore

/// Verbs about queues.
extension ShellVerb {
    static let queues: [ShellVerb] = [
        ShellVerb("push", ["value"], ["side", "prefix", "expire", "tag"]) { session, request in
            let (side, prefix) = (try request.side(default: .back), try request.text("prefix"))
            let (expire, tag) = (try request.expire(), try request.tag())
            let cache = try session.cache.shard(forQueue: prefix)
            switch try request.value() {
            case .stored(let value):
                return JSON(try cache.push(value, side: side, prefix: prefix, expire: expire, tag: tag))
            case .large(let count):
                return JSON(
                    try cache.push(
                        reading: LargeSource(count: count), side: side, prefix: prefix, expire: expire, tag: tag))
            case .file(let path):
                let file = try Platform.openFile(Array(path.utf8))
                return try withExtendedLifetime(file) {
                    JSON(
                        try cache.push(
                            reading: FileDescriptorSource(file.number), side: side, prefix: prefix, expire: expire,
                            tag: tag))
                }
            }
        },
        ShellVerb("pull", [], ["side", "prefix", "timeout", "entry"]) { session, request in
            let (side, prefix) = (try request.side(default: .front), try request.text("prefix"))
            let timeout = try request.duration("timeout")
            if try request.bool("entry", default: false) {
                let found = try session.cache.shard(forQueue: prefix).pullEntry(
                    as: AnyValue.self, side: side, prefix: prefix, timeout: timeout)
                return try found.map { try JSON(.queue($0.key), $0.entry) } ?? .absent
            }
            let found = try session.cache.shard(forQueue: prefix).pull(
                as: AnyValue.self, side: side, prefix: prefix, timeout: timeout)
            return try found.map { .array([JSON($0.key), try JSON($0.value)]) } ?? .absent
        },
        ShellVerb("peek", [], ["side", "prefix", "timeout", "entry"]) { session, request in
            let (side, prefix) = (try request.side(default: .front), try request.text("prefix"))
            if session.isInSnapshot { throw BadRequest("a snapshot has no queues; peek after its end") }
            // In a transaction nobody else pushes, so there is nothing to wait for.
            let timeout = try session.isInTransaction ? .zero : request.duration("timeout") ?? .zero
            // Nothing wakes who only looks: look again now and then.
            let end = Platform.clock() &+ UInt64(min(max(timeout.seconds, 0), 1e9) * 1e9)
            while true {
                if let answer = try session.peek(side, prefix, entry: try request.bool("entry", default: false)) {
                    return answer
                }
                let now = Platform.clock()
                if now >= end { return .absent }
                Platform.pause(nanoseconds: min(5_000_000, end - now))
            }
        },
    ]
}

extension ShellSession {
    fileprivate func peek(_ side: Side, _ prefix: String?, entry: Bool) throws -> JSON? {
        if entry {
            let found = try cache.shard(forQueue: prefix).peekEntry(as: AnyValue.self, side: side, prefix: prefix)
            return try found.map { try JSON(.queue($0.key), $0.entry) }
        }
        let found = try cache.shard(forQueue: prefix).peek(as: AnyValue.self, side: side, prefix: prefix)
        return try found.map { .array([JSON($0.key), try JSON($0.value)]) }
    }
}

extension ShellRequest {
    fileprivate func side(default side: Side) throws -> Side {
        switch try text("side") {
        case nil: side
        case "front": .front
        case "back": .back
        default: throw BadRequest("side is \"front\" or \"back\"")
        }
    }
}
