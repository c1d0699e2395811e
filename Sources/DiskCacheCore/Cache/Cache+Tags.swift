internal import DiskCacheEngine

/// What goes by tags. With the setting `tagIndex` the items of a tag are found in an index that is kept up behind the writers' backs;
/// without it every item is looked at. The outcome is the same, and the setting may be changed at any time.
extension Cache {
    /// The keys of the items with a tag, in the order in which they were first stored, expired ones included; as `keys()`.
    public func keys(tag: Tag, reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        keyCursor(try reader(tag, reversed: reversed, records: false))
    }

    /// The items with a tag, in the order in which they were first stored; as `items()`.
    @inlinable
    public func items<V: Decodable>(
        tag: Tag, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        itemCursor(try reader(tag, reversed: reversed, records: true))
    }

    /// Removes all items with a tag; how many there were. Items that come meanwhile stay.
    ///
    /// Takes the write lock again and again, about a millisecond each time, so that others write in between; inside a transaction all of
    /// it is one step. Throws `timeout` if the lock can't be had in time: what was removed until then stays removed, and the
    /// error's `removed` says how many that is.
    @discardableResult
    public func evict(tag: Tag) throws -> Int {
        let (form, bytes) = try tag.withBytes { (KeyClass.identity(of: $0), Array($1)) }
        return try evict(try tagOrder(), try Self.range(tag)) { record in
            guard let own = record.tag else { return false }
            return KeyClass.identity(of: own.form) == form && own.bytes.elementsEqual(bytes)
        }
    }

    /// Removes all items without a tag; how many there were. Otherwise as `evict(tag:)`; every item is looked at.
    @discardableResult
    public func evictUntagged() throws -> Int {
        try evict(.insertion, .all) { $0.tag == nil }
    }

    // MARK: Parts

    @usableFromInline
    func reader(_ tag: Tag, reversed: Bool, records: Bool) throws -> RowReader {
        try RowReader(self, try tagOrder(), try Self.range(tag), reversed: reversed, records: records)
    }

    func tagOrder() throws -> RowOrder { try settings.tagIndex ? .tag : .insertion }

    static func range(_ tag: Tag) throws -> OrderedScan.Range {
        try tag.withBytes { form, bytes in .tag(form: form, bytes: Array(bytes)) }
    }

    private func evict(
        _ order: RowOrder, _ range: OrderedScan.Range, _ isWanted: @escaping (Record) -> Bool
    ) throws -> Int {
        var evictor: Evictor?
        var removed = 0
        while evictor.map({ !$0.isDone }) ?? true {
            do throws(EngineError) {
                try handle.withStore { (store) throws(EngineError) in
                    let going =
                        evictor ?? Evictor(OrderedScan(order, range, wantsRecords: true, in: store), where: isWanted)
                    evictor = going
                    removed += try going.step(in: store, timeout: handle.timeout)
                }
            } catch {
                let error = CacheError(error)
                throw CacheError(
                    error.code, error.message, path: error.path, errno: error.errno, removed: removed)
            }
        }
        return removed
    }
}
