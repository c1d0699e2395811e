internal import DiskCacheEngine

extension Cache {
    /// A key's item without its type being known: how the value is stored, what is known of it, and a reader of its
    /// bytes; nil if it is missing or expired. For tools that show whatever there is.
    package func inspect(_ key: some CacheKey) throws -> (form: ValueForm, entry: Entry<ValueReader>)? {
        try withKeyBytes(key) { keyClass, bytes in
            var result: (form: ValueForm, entry: Entry<ValueReader>)?
            try withLiveRecord(keyClass, bytes, counts: false) { record, store in
                guard let form = ValueForm(rawValue: UInt8(truncatingIfNeeded: record.form)) else {
                    throw CacheError(
                        .unsupportedFormat, "a value of a form that this version doesn't know", path: directory)
                }
                let reader: ValueReader
                if form.isFile {
                    let file = try rethrowing { () throws(EngineError) in try store.openFile(of: record) }
                    guard let file else { return false }
                    reader = ValueReader(file: file)
                } else {
                    reader = ValueReader(bytes: Array(record.value))
                }
                let entry = Entry(
                    value: reader, storedAt: Double(store.storedAt(record)) / 1_000_000,
                    expires: record.expiry.map { Double($0) / 1_000_000 },
                    tag: try record.tag.map { try Tag(form: $0.form, bytes: $0.bytes) }, byteCount: reader.count,
                    path: reader.path)
                result = (form.inline, entry)
                return true
            }
            return result
        }
    }
}
