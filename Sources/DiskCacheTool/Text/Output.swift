/// Standard output and standard error, unbuffered: what couldn't be written is an error, not a loss.
enum Output {
    /// Writes bytes to standard output.
    static func write(_ bytes: [UInt8]) throws { try Platform.write(.output, bytes, Array("standard output".utf8)) }

    /// Writes a line to standard output.
    static func line(_ text: String) throws { try write(Array((text + "\n").utf8)) }

    /// Writes a line to standard error.
    static func note(_ text: String) { try? Platform.write(.error, Array((text + "\n").utf8)) }

    /// Writes a table of two columns to standard output.
    static func table(_ rows: [(name: String, value: String)]) throws {
        let width = rows.map(\.name.count).max() ?? 0
        try line(rows.map { padded($0.name, width) + "  " + $0.value }.joined(separator: "\n"))
    }
}
