import Synchronization

/// Values in files of their own (DESIGN 10).
extension Store {
    /// Stores a value that comes in pieces, in a file of its own. `next` gives the pieces; nil: the end.
    public func putStream(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16, _ attributes: RecordAttributes,
        condition: PutCondition = .always, _ next: () throws -> [UInt8]?
    ) throws -> Bool {
        try check(key, attributes)
        let writer = try beginFile(expected: 0)
        do {
            while let piece = try next() {
                try piece.withUnsafeBytes { try append($0, to: writer) }
            }
        } catch {
            writer.abandon()
            throw error
        }
        return try place(writer, timeout: timeout, keyClass, key, form: form, attributes, condition)
    }

    /// Stores a value that is at hand, in a file of its own.
    @inline(never)
    func putFile(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16,
        _ value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, _ condition: PutCondition
    ) throws(EngineError) -> Bool {
        if condition == .onlyIfMissing, let row = try find(keyClass, key),
            !(row.expiry.map { $0 <= environment.wallClock() } ?? false)
        {
            return false
        }
        let bytes = CommitBlock.Counters.fileBytes(length: value.count)
        if bytes > eviction.largestRow.load(ordering: .relaxed) { try refuseFile(bytes, timeout: timeout) }
        let writer = try beginFile(expected: value.count)
        do throws(EngineError) {
            try append(value, to: writer)
        } catch {
            writer.abandon()
            throw error
        }
        return try place(writer, timeout: timeout, keyClass, key, form: form, attributes, condition)
    }

    /// Refuses a value that can't be kept before its file is written, if the settings are still those.
    private func refuseFile(_ bytes: UInt64, timeout: UInt64) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in try refuseTooLarge(bytes) }
    }

    func beginFile(expected: Int) throws(EngineError) -> ValueFileWriter {
        do throws(SystemError) {
            return try valueFiles.beginWriting(expected: expected)
        } catch {
            throw unlessRemoved(EngineError(error))
        }
    }

    func append(_ bytes: UnsafeRawBufferPointer, to writer: ValueFileWriter) throws(EngineError) {
        do throws(SystemError) {
            try writer.append(bytes)
        } catch {
            throw EngineError(error)
        }
    }

    /// Record without the commit flag, rename, commit record: power loss aside, no file in place lacks a record.
    func place(
        _ writer: ValueFileWriter, timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16,
        _ attributes: RecordAttributes, _ condition: PutCondition
    ) throws(EngineError) -> Bool {
        defer { writer.abandon() }
        let reference: ValueFileReference
        do throws(SystemError) {
            reference = try writer.finish()
        } catch {
            throw EngineError(error)
        }
        return try write(timeout: timeout) { () throws(EngineError) in
            if let expiry = expiry(attributes), expiry <= now { return try putExpired(keyClass, key, condition) }
            var bytes = [UInt8](repeating: 0, count: ValueFileReference.size)
            bytes.withUnsafeMutableBytes { reference.store(into: $0) }
            let fileForm = form - ValueFormCode.text + ValueFormCode.textFile
            let result = bytes.withUnsafeBytes { value -> Result<Bool, EngineError> in
                do throws(EngineError) {
                    return .success(
                        try put(
                            keyClass, key, form: fileForm, value: value, attributes, condition: condition,
                            isLast: false, culls: true
                        ))
                } catch {
                    return .failure(error)
                }
            }
            guard try result.get() else { return false }
            do throws(SystemError) {
                transaction.newFiles.append(reference.name)
                try writer.place()
            } catch {
                throw EngineError(error)
            }
            watchFiles(adding: CommitBlock.Counters.fileBytes(length: reference.length))
            return true
        }
    }

    /// A value in a file of its own, open for reading. Used by one thread at a time.
    public final class FileValue: @unchecked Sendable {
        private let reader: ValueFileReader

        init(_ reader: ValueFileReader) { self.reader = reader }

        /// Bytes.
        public var count: Int { reader.count }
        /// Bytes that were read so far.
        public var offset: Int { reader.offset }
        /// The file's path.
        public var path: String { reader.path }

        /// The next bytes, `buffer.count` at most; 0: the end, reached with the checksum right.
        public func read(into buffer: UnsafeMutableRawBufferPointer) throws(EngineError) -> Int {
            do throws(ValueFileError) {
                return try reader.read(into: buffer)
            } catch {
                throw Store.engineError(error)
            }
        }

        /// All bytes, verified, where the system maps them.
        public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
            let mapping: ValueFileMapping
            do throws(ValueFileError) {
                mapping = try reader.map()
            } catch {
                throw Store.engineError(error)
            }
            return try mapping.withBytes { try body($0) }
        }
    }

    static func engineError(_ error: ValueFileError) -> EngineError {
        switch error {
        case .system(let failed): return EngineError(failed)
        case .corrupted(let path, let damage):
            return EngineError(
                .corrupted, "the value's file isn't the one that was written (\(damage)); check tells more", path: path)
        }
    }

    /// Opens the file of a row's value; nil: it isn't there.
    public func openFile(of record: Record) throws(EngineError) -> FileValue? {
        guard ValueFormCode.isFile(record.form), let reference = ValueFileReference(record.value) else { return nil }
        do throws(ValueFileError) {
            return try valueFiles.open(reference).map { FileValue($0) }
        } catch {
            throw Self.engineError(error)
        }
    }

    /// The path of a row's file and the length of its value; nil: the value lies in the record.
    public func file(of record: Record) -> (path: String, count: Int)? {
        guard ValueFormCode.isFile(record.form), let reference = ValueFileReference(record.value) else { return nil }
        return (path + "/" + reference.name.path, reference.length)
    }
}
