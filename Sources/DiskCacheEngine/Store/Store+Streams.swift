/// Values that come in pieces whose end isn't near: between two pieces nothing is held but the file, neither a thread nor an access.
extension Store {
    /// A value on its way into a file of its own. Used by one thread at a time. It goes if it isn't stored.
    public final class StreamedValue: @unchecked Sendable {
        fileprivate let writer: ValueFileWriter

        fileprivate init(_ writer: ValueFileWriter) { self.writer = writer }

        /// Writes the next bytes.
        public func append(_ bytes: UnsafeRawBufferPointer) throws(EngineError) {
            do throws(SystemError) {
                try writer.append(bytes)
            } catch {
                throw EngineError(error)
            }
        }

        /// Removes the file, unless it was stored.
        public func abandon() { writer.abandon() }
    }

    /// Begins a value.
    public func beginStream() throws(EngineError) -> StreamedValue { StreamedValue(try beginFile(expected: 0)) }

    /// Stores a value all of which was written; as `putStream`.
    public func put(
        _ value: StreamedValue, timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16,
        _ attributes: RecordAttributes, condition: PutCondition = .always
    ) throws(EngineError) -> Bool {
        try check(key, attributes)
        return try place(value.writer, timeout: timeout, keyClass, key, form: form, attributes, condition)
    }

    /// Adds a value all of which was written at an end of a queue; as `pushStream`.
    public func push(
        _ value: StreamedValue, timeout: UInt64, _ name: QueueName, atFront: Bool, form: UInt16,
        _ attributes: RecordAttributes
    ) throws(EngineError) -> Int64 {
        try check(name.item(0), attributes)
        return try pushPlaced(value.writer, timeout, name, atFront, form, attributes)
    }
}
