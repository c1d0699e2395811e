import DiskCacheCore
import DiskCacheEngine

/// Names an argument of a memoised function: by its place, counted from 0, or by its label.
public struct MemoizedArgument: Sendable, Hashable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    enum Name: Hashable, CustomStringConvertible {
        case place(Int)
        case label(String)

        var description: String {
            switch self {
            case .place(let place): "at place \(place)"
            case .label(let label): "called \(label)"
            }
        }
    }

    let name: Name

    /// The argument at a place.
    public init(integerLiteral place: Int) { name = .place(place) }

    /// The argument with a label.
    public init(stringLiteral label: String) { name = .label(label) }
}

/// What a memoised function is called in keys.
struct FunctionName: Sendable {
    /// The name, or why there is none that could be trusted.
    let text: Result<String, CacheError>

    /// Where each name comes from that was made of a place in the source.
    private static let places = Guarded<[String: String]>([:])

    /// The name that was given; nil: one made of file and function of the caller. Two functions that are made in one function would share
    /// that and take each other's results: the second one gets none.
    init(_ given: String?, _ file: String, _ function: String, line: UInt, column: UInt) {
        if let given {
            text = .success(given)
            return
        }
        let (made, place) = (file + " " + function, "\(line):\(column)")
        let first = Self.places.withLock { places in
            if let first = places[made] { return first }
            places[made] = place
            return place
        }
        text =
            first == place
            ? .success(made)
            : .failure(
                CacheError(
                    .invalidSetting,
                    "two functions are memoised in \(made), at \(first) and \(place); give each a name of its own"))
    }
}

/// The arguments of a call.
func list<each Argument: Encodable>(_ arguments: repeat each Argument) -> [any Encodable] {
    var list: [any Encodable] = []
    for argument in repeat each arguments { list.append(argument) }
    return list
}

/// What makes keys of a function's calls.
struct CallKeys: Sendable {
    private let name: FunctionName
    private let labels: [String]
    private let ignored: [MemoizedArgument]
    private let isTyped: Bool
    /// The key beneath of a key in a namespace.
    private let beneath: (@Sendable (AnyCacheKey) throws -> AnyCacheKey)?

    init(
        _ name: FunctionName, labels: [String], ignoring ignored: [MemoizedArgument], typed: Bool,
        beneath: (@Sendable (AnyCacheKey) throws -> AnyCacheKey)? = nil
    ) {
        self.name = name
        self.labels = labels
        self.ignored = ignored
        isTyped = typed
        self.beneath = beneath
    }

    /// The key of a call: an argument that has no label goes by its place.
    ///
    /// Throws `invalidSetting` if labels or ignored arguments aren't those of the function, or if it has no name that is its own,
    /// `unencodable` if an argument can't be serialised.
    func key(_ arguments: [any Encodable]) throws -> AnyCacheKey {
        let function = try name.text.get()
        let names = arguments.indices.map { place in
            place < labels.count && !labels[place].isEmpty ? Name.label(labels[place]) : .place(place)
        }
        let isIgnored = try isIgnored(names, function)
        let counted = arguments.indices.filter { !isIgnored[$0] }.map {
            Call.Argument(name: names[$0], value: arguments[$0], isTyped: isTyped)
        }
        return try AnyCacheKey.serializing(Call(function: function, arguments: counted))
    }

    /// The key under which the result of a call lies in the cache; throws as `key`.
    func storedKey(_ arguments: [any Encodable]) throws -> AnyCacheKey {
        let key = try key(arguments)
        return try beneath?(key) ?? key
    }

    private func isIgnored(_ names: [Name], _ function: String) throws -> [Bool] {
        guard labels.count <= names.count, Set(names).count == names.count else {
            let (arguments, labels) = (counted(names.count, "argument"), counted(labels.count, "label"))
            throw CacheError(
                .invalidSetting,
                "\(function) has \(arguments) and \(labels); there can't be more of these, and they have to differ")
        }
        var isIgnored = [Bool](repeating: false, count: names.count)
        for argument in ignored {
            let place: Int?
            switch argument.name {
            case .place(let at): place = names.indices.contains(at) ? at : nil
            case .label: place = names.firstIndex(of: argument.name)
            }
            guard let place else {
                throw CacheError(.invalidSetting, "\(function) has no argument \(argument.name) that could be ignored")
            }
            isIgnored[place] = true
        }
        return isIgnored
    }

    private func counted(_ count: Int, _ noun: String) -> String { "\(count) " + noun + (count == 1 ? "" : "s") }

    private typealias Name = MemoizedArgument.Name
}

/// A call as its key is made of it: a map with one name, so that no array or text of a user's own is the same.
///
/// `{"memoized": [function, [[place or label, value], …]]}` in deterministic CBOR; behind the value its type's name, where types count.
private struct Call: Encodable {
    struct Argument: Encodable {
        let name: MemoizedArgument.Name
        let value: any Encodable
        let isTyped: Bool

        func encode(to encoder: any Encoder) throws {
            var pair = encoder.unkeyedContainer()
            switch name {
            case .place(let place): try pair.encode(place)
            case .label(let label): try pair.encode(label)
            }
            try pair.encode(value)
            if isTyped { try pair.encode(stableName(of: type(of: value))) }
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

/// The name of a type with that of its module, the same in every process: of a private one without the address that the runtime puts
/// where its file would stand.
func stableName(of type: Any.Type) -> String {
    let (name, opening) = (Array(String(reflecting: type).utf8), Array("(unknown context at $".utf8))
    var kept: [UInt8] = []
    var index = 0
    while index < name.count {
        if name[index...].starts(with: opening), let end = name[index...].firstIndex(of: UInt8(ascii: ")")) {
            kept += "(private)".utf8
            index = end + 1
        } else {
            kept.append(name[index])
            index += 1
        }
    }
    return String(decoding: kept, as: UTF8.self)
}
