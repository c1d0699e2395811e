/// Items of queues whose values lie in files of their own.
extension Store {
    /// As `push`, for a value that comes in pieces, in a file of its own. `next` gives the pieces; nil: the end.
    public func pushStream(
        timeout: UInt64, _ name: QueueName, atFront: Bool, form: UInt16, _ attributes: RecordAttributes,
        _ next: () throws -> [UInt8]?
    ) throws -> Int64 {
        try check(name.item(0), attributes)
        let writer = try beginFile(expected: 0)
        do {
            while let piece = try next() {
                try piece.withUnsafeBytes { try append($0, to: writer) }
            }
        } catch {
            writer.abandon()
            throw error
        }
        return try pushPlaced(writer, timeout, name, atFront, form, attributes)
    }

    /// As `push`, for a value that is at hand, in a file of its own.
    @inline(never)
    func pushFile(
        timeout: UInt64, _ name: QueueName, atFront: Bool, form: UInt16, _ value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes
    ) throws(EngineError) -> Int64 {
        let writer = try beginFile(expected: value.count)
        do throws(EngineError) {
            try append(value, to: writer)
        } catch {
            writer.abandon()
            throw error
        }
        return try pushPlaced(writer, timeout, name, atFront, form, attributes)
    }

    /// Record without the commit flag, rename, the queue's record, which ends the transaction.
    func pushPlaced(
        _ writer: ValueFileWriter, _ timeout: UInt64, _ name: QueueName, _ atFront: Bool, _ form: UInt16,
        _ attributes: RecordAttributes
    ) throws(EngineError) -> Int64 {
        defer { writer.abandon() }
        let reference: ValueFileReference
        do throws(SystemError) {
            reference = try writer.finish()
        } catch {
            throw EngineError(error)
        }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { reference.store(into: $0) }
        let fileForm = form - ValueFormCode.text + ValueFormCode.textFile
        let value = words
        while true {
            let pushed = try write(timeout: timeout) { () throws(EngineError) in
                let number = try withUnsafeBytes(of: value) { (bytes) throws(EngineError) in
                    try pushItem(name, atFront, fileForm, bytes, attributes, steps: stepsOfThisTransaction)
                }
                guard let number else { return nil as Int64? }
                if number == 0 { return number }
                do throws(SystemError) {
                    transaction.newFiles.append(reference.name)
                    try writer.place()
                } catch {
                    throw EngineError(error)
                }
                return number
            }
            if let pushed { return pushed }
        }
    }
}
