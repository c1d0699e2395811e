/// A command line that makes no sense; the command's usage is printed with it.
struct UsageError: Error {
    let message: String

    init(_ message: String) { self.message = message }
}

/// The arguments of one command, told apart: positional ones, options with a value, flags.
///
/// `--name value` and `--name=value` are the same; everything behind `--` is positional, and so are `-` and negative numbers.
struct Arguments {
    /// Those that aren't options, in order.
    private(set) var positional: [String] = []
    private var values: [String: String] = [:]
    private var flags: Set<String> = []

    /// Reads `arguments`; throws for an option that is in neither list.
    init(_ arguments: [String], options: [String] = [], flags known: [String] = []) throws {
        var rest = arguments[...]
        var onlyPositional = false
        while let argument = rest.popFirst() {
            if onlyPositional || !argument.hasPrefix("-") || argument == "-" || Double(argument) != nil {
                positional.append(argument)
            } else if argument == "--" {
                onlyPositional = true
            } else {
                let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = String(parts[0])
                if known.contains(name) {
                    if parts.count > 1 { throw UsageError("\(name) takes no value") }
                    flags.insert(name)
                } else if options.contains(name) {
                    guard let value = parts.count > 1 ? String(parts[1]) : rest.popFirst() else {
                        throw UsageError("\(name) needs a value")
                    }
                    if values.updateValue(value, forKey: name) != nil { throw UsageError("\(name) is given twice") }
                } else {
                    throw UsageError("unknown option \(name)")
                }
            }
        }
    }

    /// Whether a flag is there.
    func has(_ flag: String) -> Bool { flags.contains(flag) }

    /// The value of an option; nil: it isn't there.
    func value(_ option: String) -> String? { values[option] }

    /// The value of an option as a number of type `N`.
    func number<N: LosslessStringConvertible>(_ option: String, as type: N.Type = N.self) throws -> N? {
        try values[option].map { try parseNumber($0, option) }
    }

    /// Throws unless there are this many positional arguments; `names` says what they are.
    func expect(_ counts: ClosedRange<Int>, _ names: [String]) throws {
        if positional.count < counts.lowerBound { throw UsageError("\(names[positional.count]) is missing") }
        if positional.count > counts.upperBound {
            throw UsageError("unexpected argument \(positional[counts.upperBound])")
        }
    }
}

/// The number that a text is; `what` says in the error where it stands.
func parseNumber<N: LosslessStringConvertible>(_ text: String, _ what: String, as type: N.Type = N.self) throws -> N {
    guard let number = N(text) else {
        throw UsageError("\(what): \(text) is not \(N.self == Double.self ? "a number" : "an integer of 64 bits")")
    }
    return number
}
