/// Lines of any length from a descriptor.
struct LineReader {
    private let input: Platform.Descriptor
    private var buffer: [UInt8] = []
    /// Where the next line begins, and up to where no newline was found.
    private var start = 0
    private var searched = 0
    private var isAtEnd = false

    init(_ input: Platform.Descriptor) { self.input = input }

    /// The next line without its newline; nil at the end. What stands behind the last newline is a line, unless it is nothing.
    mutating func next() throws -> ArraySlice<UInt8>? {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { (start, searched) = (end + 1, end + 1) }
                return buffer[start..<end]
            }
            searched = buffer.count
            if isAtEnd {
                defer { start = buffer.count }
                return start < buffer.count ? buffer[start...] : nil
            }
            if start > 0 {
                buffer.removeSubrange(..<start)
                (start, searched) = (0, buffer.count)
            }
            let piece = try Platform.readSome(input, maximum: 1 << 16)
            isAtEnd = piece.isEmpty
            buffer += piece
        }
    }
}
