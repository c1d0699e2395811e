internal import DiskCacheEngine

/// What an index does where types don't matter any more.
extension CollectionStore {
    /// Lends key and value of the first or the last row and removes it; calls nothing if there is none.
    func takeRow(
        first: Bool, skipsQueues: Bool,
        _ body: (UInt8, UnsafeRawBufferPointer, ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        _ = try cache.inStore { store in
            try store.takeRow(timeout: cache.handle.timeout, first: first, skipsQueues: skipsQueues) { store, record in
                try cache.withBytes(of: record, store) { form, bytes in
                    try body(record.keyClass, record.key, form, bytes)
                }
            }
        }
    }
}
