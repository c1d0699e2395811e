internal import DiskCacheEngine

/// What the forms of the verbs that suspend are built on; they stand in the module `DiskCache`.
extension Cache {
    /// Whether reading a key would wait for nothing, not even a disk, as far as one can tell: its value is small, and in memory with
    /// what leads to it. A microsecond a page of memory at most, less where it was read lately.
    package func isInMemory(_ key: some CacheKey) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in handle.isInMemory(keyClass, bytes) }
    }

    /// A value that is written piece by piece, by whichever thread comes along, one at a time. It goes if it isn't stored.
    package struct Stream: Sendable {
        let value: Store.StreamedValue

        /// Writes the next bytes.
        package func append(_ bytes: [UInt8]) throws {
            try bytes.withUnsafeBytes { bytes in
                try rethrowing { () throws(EngineError) in try value.append(bytes) }
            }
        }

        /// Removes what was written. What was stored stays.
        package func abandon() { value.abandon() }
    }

    /// Begins a value that is written piece by piece.
    package func beginStream() throws -> Stream {
        Stream(value: try withStore { (store) throws(EngineError) in try store.beginStream() })
    }

    /// Stores a value all of which was written, as `set` and `add` do with `reading`.
    package func store(
        _ stream: Stream, _ key: some CacheKey, expire: Expiration?, tag: Tag?, onlyIfMissing: Bool
    ) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try withAttributes(expire, tag) { attributes in
                try withStore { (store) throws(EngineError) in
                    try store.put(
                        stream.value, timeout: handle.timeout, keyClass, bytes, form: ValueFormCode.bytes,
                        attributes, condition: onlyIfMissing ? .onlyIfMissing : .always)
                }
            }
        }
    }

    /// Adds a value all of which was written at an end of a queue, as `push` does with `reading`.
    package func push(
        _ stream: Stream, side: Side, prefix: String?, expire: Expiration?, tag: Tag?
    ) throws -> QueueKey {
        let number = try withAttributes(expire, tag) { attributes in
            try QueueName.with(prefix) { name in
                try withStore { (store) throws(EngineError) in
                    try store.push(
                        stream.value, timeout: handle.timeout, name, atFront: side == .front,
                        form: ValueFormCode.bytes, attributes)
                }
            }
        }
        return QueueKey(prefix: prefix, number: number)
    }

    /// A thread that says that it is going to sleep until something is pushed; `sleep` then waits for that.
    package func beginSleep() throws -> @Sendable (_ nanoseconds: UInt64) -> Void {
        let puller = try rethrowing { () throws(EngineError) in try handle.puller() }
        return { puller.sleep(nanoseconds: $0) }
    }
}
