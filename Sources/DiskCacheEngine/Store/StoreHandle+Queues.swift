import Synchronization

extension StoreHandle {
    /// Adds an item to a queue; as `Store.push`.
    public func push(
        _ name: QueueName, atFront: Bool, form: UInt16, value: UnsafeRawBufferPointer, _ attributes: RecordAttributes
    ) throws(EngineError) -> Int64 {
        let access = try beginAccess()
        defer { end(access) }
        let timeout = timeout
        let result = access.store._withUnsafeGuaranteedRef { store -> Result<Int64, EngineError> in
            do throws(EngineError) {
                return .success(
                    try store.push(
                        timeout: timeout, name, atFront: atFront, form: form, value: value, attributes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Shows, and removes, the item at an end of a queue; as `Store.take`, of a queue that stays empty without the lock.
    public func take(
        _ name: QueueName, fromFront: Bool, removing: Bool, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        let access = try beginAccess()
        defer { end(access) }
        return try access.store._withUnsafeGuaranteedRef { store in
            // Where the last one found an item there are likely more: it isn't worth two looks.
            if !store.tookItem.load(ordering: .relaxed), try !store.isInTransaction && store.isEmpty(name) {
                return nil
            }
            var number: Int64?
            defer {
                if (number != nil) != store.tookItem.load(ordering: .relaxed) {
                    store.tookItem.store(number != nil, ordering: .relaxed)
                }
            }
            number = try store.take(timeout: timeout, name, fromFront: fromFront, removing: removing, visit)
            return number
        }
    }

    /// Shows the item at an end of a queue, without the lock where it can be; as `Store.look`.
    public func look(
        _ name: QueueName, atFront: Bool, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        let access = try beginAccess()
        defer { end(access) }
        return try access.store._withUnsafeGuaranteedRef { store in
            switch try store.look(name, atFront: atFront, now: now(), visit) {
            case .found(let number): return number
            case .empty: return nil
            case .unknown:
                return try store.take(timeout: timeout, name, fromFront: atFront, removing: false, visit)
            }
        }
    }

    /// As `take` with `removing`, but waits until something is pushed, for `nanoseconds` at most. Holds nothing while it waits.
    ///
    /// Inside a transaction nobody else can push, so there it doesn't wait.
    public func waitAndTake(
        _ name: QueueName, fromFront: Bool, nanoseconds: UInt64, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        if let number = try take(name, fromFront: fromFront, removing: true, visit) { return number }
        if nanoseconds == 0 || isInTransaction { return nil }
        let begun = monotonicNanoseconds()
        while true {
            let puller = try puller()
            let number = try withAccess { store in
                try store.take(timeout: timeout, name, fromFront: fromFront, removing: true, visit)
            }
            if let number { return number }
            let passed = monotonicNanoseconds() &- begun
            if passed >= nanoseconds { return nil }
            puller.sleep(nanoseconds: nanoseconds &- passed)
        }
    }

    /// Says that the caller is going to sleep until something is pushed; as `Store.puller`.
    public func puller() throws(EngineError) -> Store.Sleeper {
        let access = try beginAccess()
        defer { end(access) }
        return access.store.takeUnretainedValue().puller()
    }

    private func withAccess<R>(_ body: (Store) throws -> R) throws -> R {
        let access = try beginAccess()
        defer { end(access) }
        return try access.store._withUnsafeGuaranteedRef { try body($0) }
    }
}
