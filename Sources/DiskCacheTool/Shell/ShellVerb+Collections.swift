import DiskCacheCore

/// Verbs about a deque and about an index.
extension ShellVerb {
    static let deque: [ShellVerb] = [
        ShellVerb("append", ["value"]) { session, request in
            try session.deque.append(try request.stored())
            return .bool(true)
        },
        ShellVerb("prepend", ["value"]) { session, request in
            try session.deque.prepend(try request.stored())
            return .bool(true)
        },
        ShellVerb("popFirst", [], ["timeout"]) { session, request in
            try JSON(try session.deque.popFirst(timeout: try request.duration("timeout")))
        },
        ShellVerb("popLast", [], ["timeout"]) { session, request in
            try JSON(try session.deque.popLast(timeout: try request.duration("timeout")))
        },
        ShellVerb("first") { session, _ in try JSON(try session.deque.first) },
        ShellVerb("last") { session, _ in try JSON(try session.deque.last) },
        ShellVerb("at", ["index"]) { session, request in try JSON(try session.deque[try request.index()]) },
        ShellVerb("setAt", ["index", "value"]) { session, request in
            try session.deque.set(try request.stored(), at: try request.index())
            return .bool(true)
        },
        ShellVerb("removeAt", ["index"]) { session, request in
            try JSON(try session.deque.remove(at: try request.index()))
        },
        ShellVerb("extend", ["values"]) { session, request in
            try session.deque.append(contentsOf: try request.values())
            return .bool(true)
        },
        // Each before the one that came before it, as DiskCache's `extendleft`.
        ShellVerb("extendFront", ["values"]) { session, request in
            try session.deque.prepend(contentsOf: try request.values().reversed())
            return .bool(true)
        },
        ShellVerb("rotate", ["by"]) { session, request in
            try session.deque.rotate(by: try request.index("by"))
            return .bool(true)
        },
        ShellVerb("reverse") { session, _ in
            try session.deque.reverse()
            return .bool(true)
        },
        ShellVerb("remove", ["value"]) { session, request in
            .bool(try session.deque.removeFirst(equalTo: try request.stored()))
        },
        ShellVerb("countOf", ["value"]) { session, request in
            .integer(Int64(try session.deque.count(of: try request.stored())))
        },
        ShellVerb("contains", ["value"]) { session, request in
            .bool(try session.deque.contains(try request.stored()))
        },
        ShellVerb("maxLength", [], ["set"]) { session, request in
            if request["set"] != nil { try session.deque.setMaxLength(try request.integer("set")) }
            return try session.deque.maxLength.map { .integer(Int64($0)) } ?? .null
        },
        ShellVerb("items", [], ["reversed"]) { session, request in
            let elements = try session.deque.elements(reversed: try request.bool("reversed", default: false))
            return .array(try Array(elements.map { try JSON($0) }))
        },
    ]

    static let index: [ShellVerb] =
        named(["set", "add"], in: items) { _ in [] }
        + named(["get", "pop", "delete", "contains"], in: items)
        + named(["push"], in: queues) { $0.filter { $0 != "expire" && $0 != "tag" } }
        + named(["pull"], in: queues) + named(["keys", "items", "peekItem"], in: orders) + [
            ShellVerb("setDefault", ["key", "value"]) { session, request in
                try JSON(try session.index.setDefault(try request.stored(), forKey: try request.key()))
            },
            ShellVerb("popFirst") { session, _ in try JSON(try session.index.popFirst()) },
            ShellVerb("popLast") { session, _ in try JSON(try session.index.popLast()) },
        ]

    /// Verbs of those of a cache, perhaps with fewer arguments that may be left out.
    private static func named(
        _ names: [String], in verbs: [ShellVerb], _ optional: ([String]) -> [String] = { $0 }
    ) -> [ShellVerb] {
        verbs.filter { names.contains($0.name) }.map { ShellVerb($0.name, $0.required, optional($0.optional), $0.run) }
    }
}

extension ShellRequest {
    fileprivate func stored() throws -> AnyValue { try value().inMemory() }

    fileprivate func values() throws -> [AnyValue] { try array("values").map { try ShellValue($0).inMemory() } }

    fileprivate func index(_ name: String = "index") throws -> Int {
        guard let index = try integer(name) else { throw BadRequest("\(name) is an integer") }
        return index
    }
}

extension JSON {
    fileprivate init(_ element: AnyValue?) throws { self = try element.map { try JSON($0) } ?? .absent }

    fileprivate init(_ item: (key: AnyCacheKey, value: AnyValue)?) throws {
        self = try item.map { .array([try JSON($0.key), try JSON($0.value)]) } ?? .absent
    }
}
