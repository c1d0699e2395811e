internal import DiskCacheEngine

/// What a deque does where types don't matter any more. Its elements are the items of the queue without a prefix.
extension CollectionStore {
    private func inQueue<R>(_ body: (Store, QueueName) throws -> R) throws -> R {
        try QueueName.with(nil) { name in try cache.inStore { try body($0, name) } }
    }

    private var timeout: UInt64 { cache.handle.timeout }

    /// How many elements there are, whatever else lies in the cache.
    var elementCount: Int {
        get throws { try inQueue { store, name in try store.itemCount(name) } ?? cache.count }
    }

    var maxLength: Int? {
        get throws { try inQueue { store, name in try store.limit(name) } }
    }

    func setMaxLength(_ maxLength: Int?) throws {
        if let maxLength, maxLength < 0 {
            throw CacheError(.invalidSetting, "maxLength can't be negative: \(maxLength)", path: cache.directory)
        }
        try inQueue { store, name in try store.setLimit(timeout: timeout, name, maxLength) }
    }

    func rotate(by count: Int) throws {
        try inQueue { store, name in try store.rotate(timeout: timeout, name, by: count) }
    }

    func reverse() throws {
        try inQueue { store, name in try store.reverse(timeout: timeout, name) }
    }

    /// Lends the value at an index; calls nothing if there is none.
    @usableFromInline
    func withItem(at index: Int, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void) throws {
        try inQueue { store, name in
            let sight = try store.look(name, at: index) { try cache.withBytes(of: $1, $0, body) }
            guard case .unknown = sight else { return }
            try changeItem(store, name, index, body) { _, _ in }
        }
    }

    @usableFromInline
    func removeItem(at index: Int, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void) throws {
        try inQueue { store, name in
            try changeItem(store, name, index, body) { try $0.removeItem($1) }
        }
    }

    @usableFromInline
    func replaceItem(at index: Int, _ form: ValueForm, _ value: UnsafeRawBufferPointer) throws {
        try inQueue { store, name in
            let done: Void? = try store.withItem(timeout: timeout, name, at: index) { store, record in
                try store.replaceItem(record, form: UInt16(form.rawValue), value: value)
            }
            if done == nil { throw noItem(at: index) }
        }
    }

    private func changeItem(
        _ store: Store, _ name: QueueName, _ index: Int, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void,
        _ change: (Store, Record) throws -> Void
    ) throws {
        _ = try store.withItem(timeout: timeout, name, at: index) { store, record in
            guard try cache.withBytes(of: record, store, body) else {
                throw CacheError(
                    .corrupted, "the file of the element at \(index) is missing; run check", path: cache.directory)
            }
            try change(store, record)
        }
    }

    /// Removes the first item for which `isWanted` says true. False: there is none.
    func removeFirst(where isWanted: (ValueForm, UnsafeRawBufferPointer) throws -> Bool) throws -> Bool {
        try inQueue { store, name in
            try store.transact(timeout: timeout) {
                let scan = try QueueScan(name, reversed: false, in: store)
                while !scan.isAtEnd {
                    try scan.next(in: store)
                    for row in scan.rows {
                        guard let record = row.record else { continue }
                        var isFound = false
                        try cache.withBytes(of: record, store) { isFound = try isWanted($0, $1) }
                        if isFound {
                            try store.removeItem(record)
                            return true
                        }
                    }
                }
                return false
            }
        }
    }

    @usableFromInline
    func noItem(at index: Int) -> CacheError {
        CacheError(.keyNotFound, "the deque has no element at \(index)", path: cache.directory)
    }
}
