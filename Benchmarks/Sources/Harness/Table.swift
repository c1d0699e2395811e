/// Markdown tables.
public struct Table {
    private var lines: [String]

    /// A table with these headings; the first column is text, the others are numbers.
    public init(_ headings: [String]) {
        lines = [
            "| \(headings.joined(separator: " | ")) |",
            "|---|" + headings.dropFirst().map { _ in "--:|" }.joined(),
        ]
    }

    /// One more row.
    public mutating func add(_ cells: [String]) { lines.append("| \(cells.joined(separator: " | ")) |") }

    /// Whether it has rows.
    public var isEmpty: Bool { lines.count == 2 }

    /// The text, with a blank line behind it.
    public var text: String { lines.joined(separator: "\n") + "\n\n" }
}

/// How a figure is written in a table.
public struct Format: Sendable {
    /// Writes a value.
    public let text: @Sendable (Double) -> String

    /// `text` says it.
    public init(_ text: @escaping @Sendable (Double) -> String) { self.text = text }

    /// Nanoseconds as microseconds.
    public static let micros = Format { significant($0 / 1000) }
    /// Nanoseconds as milliseconds.
    public static let millis = Format { significant($0 / 1_000_000) }
    /// A count in thousands.
    public static let thousands = Format { $0 < 100_000 ? fixed($0 / 1000, 1) : grouped(Int(($0 / 1000).rounded())) }
    /// A number by itself.
    public static let plain = Format { $0 < 1000 ? significant($0) : grouped(Int($0.rounded())) }
}

extension GroupResult {
    /// A row an engine, a column a workload (or a workload and an x): medians over the rounds.
    public func table(
        _ figure: String, _ format: Format, columns: [(heading: String, workload: String, x: Double?)],
        only: Set<String>? = nil
    ) -> String {
        var table = Table(["engine"] + columns.map(\.heading))
        for engine in engines where only?.contains(engine) ?? true {
            let cells = columns.map { column in
                spread(figure, engine, column.workload, x: column.x).map { format.text($0.median) } ?? ""
            }
            if cells.contains(where: { !$0.isEmpty }) { table.add([engine] + cells) }
        }
        return table.isEmpty ? "" : table.text
    }

    /// How many times an engine's figure is that of `reference`: the median of the rounds (least to greatest).
    public func ratioTable(
        _ figure: String, to reference: String, columns: [(heading: String, workload: String, x: Double?)]
    ) -> String {
        var table = Table(["engine"] + columns.map(\.heading))
        for engine in engines where engine != reference {
            let cells = columns.map { column in
                ratio(figure, engine, to: reference, column.workload, x: column.x).map { ratio in
                    "\(significant(ratio.median)) (\(significant(ratio.least)) to \(significant(ratio.greatest)))"
                } ?? ""
            }
            if cells.contains(where: { !$0.isEmpty }) { table.add([engine] + cells) }
        }
        return table.isEmpty ? "" : table.text
    }

    /// A column a workload.
    public func columns(_ workloads: [String]? = nil) -> [(heading: String, workload: String, x: Double?)] {
        (workloads ?? self.workloads).map { ($0, $0, nil) }
    }

    /// A column a value of x of one workload.
    public func columns(
        _ workload: String, heading: (Double) -> String = { grouped(Int($0)) }
    ) -> [(heading: String, workload: String, x: Double?)] {
        xs(workload).map { (heading($0), workload, $0) }
    }
}

/// A number that isn't negative, with about three digits that count.
public func significant(_ value: Double) -> String {
    if value >= 1000 { return grouped(Int(value.rounded())) }
    return fixed(value, value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3)
}

/// A number that isn't negative, with `digits` behind the point.
public func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, value < 1e15 else { return "-" }
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((value * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    return digits == 0
        ? "\(scaled)" : "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

/// A number that isn't negative, with a comma before each group of three digits.
public func grouped(_ value: Int) -> String {
    value < 1000 ? "\(value)" : grouped(value / 1000) + "," + String("\(1000 + value % 1000)".dropFirst())
}
