import DiskCacheCore

/// Names an argument of a memoised function: by its place, counted from 0, or by its label.
public struct MemoizedArgument: Sendable, Hashable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    enum Name: Hashable {
        case place(Int)
        case label(String)
    }

    let name: Name

    /// The argument at a place.
    public init(integerLiteral place: Int) { name = .place(place) }

    /// The argument with a label.
    public init(stringLiteral label: String) { name = .label(label) }
}

/// What makes keys of a function's calls.
struct CallKeys: Sendable {
    private let function: String
    private let labels: [String]
    private let ignored: [MemoizedArgument]

    init(_ function: String, labels: [String], ignoring ignored: [MemoizedArgument]) {
        self.function = function
        self.labels = labels
        self.ignored = ignored
    }

    /// The key of a call: an argument that has no label goes by its place.
    ///
    /// Throws `invalidSetting` if labels or ignored arguments aren't those of the function, `unencodable` if an argument can't be
    /// serialised.
    func key(_ arguments: [any Encodable]) throws -> AnyCacheKey {
        let names = arguments.indices.map { place in
            place < labels.count && !labels[place].isEmpty ? Name.label(labels[place]) : .place(place)
        }
        let isIgnored = try isIgnored(names)
        let counted = arguments.indices.filter { !isIgnored[$0] }.map {
            Call.Argument(name: names[$0], value: arguments[$0])
        }
        return try AnyCacheKey.serializing(Call(function: function, arguments: counted))
    }

    private func isIgnored(_ names: [Name]) throws -> [Bool] {
        guard labels.count <= names.count, Set(names).count == names.count else {
            throw CacheError(
                .invalidSetting,
                "\(function) has \(names.count) arguments, and \(labels.count) labels that have to differ")
        }
        var isIgnored = [Bool](repeating: false, count: names.count)
        for argument in ignored {
            let place: Int?
            switch argument.name {
            case .place(let at): place = names.indices.contains(at) ? at : nil
            case .label: place = names.firstIndex(of: argument.name)
            }
            guard let place else {
                throw CacheError(.invalidSetting, "\(function) has no argument to ignore that is \(argument.name)")
            }
            isIgnored[place] = true
        }
        return isIgnored
    }

    private typealias Name = MemoizedArgument.Name
}

/// A call as its key is made of it: a map with one name, so that no array or text of a user's own is the same.
///
/// `{"memoized": [function, [[place or label, value], …]]}` in deterministic CBOR.
private struct Call: Encodable {
    struct Argument: Encodable {
        let name: MemoizedArgument.Name
        let value: any Encodable

        func encode(to encoder: any Encoder) throws {
            var pair = encoder.unkeyedContainer()
            switch name {
            case .place(let place): try pair.encode(place)
            case .label(let label): try pair.encode(label)
            }
            try pair.encode(value)
        }
    }

    private enum CodingKeys: CodingKey { case memoized }

    let function: String
    let arguments: [Argument]

    func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: CodingKeys.self)
        var parts = map.nestedUnkeyedContainer(forKey: .memoized)
        try parts.encode(function)
        try parts.encode(arguments)
    }
}
