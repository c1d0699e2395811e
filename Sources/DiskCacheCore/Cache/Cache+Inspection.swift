internal import DiskCacheEngine

extension Cache {
    /// A key's item without its type being known: how the value is stored, what is known of it, and a reader of its
    /// bytes; nil if it is missing or expired. For tools that show whatever there is.
    package func inspect(_ key: some CacheKey) throws -> (form: ValueForm, entry: Entry<ValueReader>)? {
        try withKeyBytes(key) { keyClass, bytes in
            var result: (form: ValueForm, entry: Entry<ValueReader>)?
            try withLiveRecord(keyClass, bytes, counts: false) { record, store in
                guard let reader = try reader(of: record, store) else { return false }
                result = (try form(record.form).inline, try entry(reader, record, store))
                return true
            }
            return result
        }
    }
}
