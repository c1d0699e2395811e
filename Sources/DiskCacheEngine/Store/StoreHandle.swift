import Synchronization

/// What a user of the engine holds: a directory that is open, or that opens itself again at the next call.
///
/// Any thread may call anything. `close` may be called while others read: they finish on what they have, and the next call opens
/// again. A child of a fork opens the store anew at its first call.
public final class StoreHandle: Sendable {
    /// The directory.
    public let path: String
    let environment: Environment
    private let options: Guarded<StoreOptions>

    /// The address of the open store, retained; 0 while closed.
    private let pointer = Atomic<UInt>(0)
    private let forks = Atomic<UInt32>(0)
    private let timeoutWord: Atomic<UInt64>
    private nonisolated(unsafe) let pins: UnsafeMutableRawPointer
    private let opening = Guarded<Bool>(true)

    /// Opens a directory; nil: a new one under the system's place for temporary files.
    public convenience init(directory: String?, options: StoreOptions = StoreOptions()) throws(EngineError) {
        try self.init(directory: directory, options: options, environment: .system)
    }

    /// As above, in an environment of the caller's.
    package init(directory: String?, options: StoreOptions, environment: Environment) throws(EngineError) {
        let given: String
        if let directory { given = directory } else { given = try StoreDirectory.makeTemporary(environment) }
        path = try StoreDirectory.absolute(given)
        self.environment = environment
        self.options = Guarded(options)
        pins = ReaderPins.base
        timeoutWord = Atomic(options.timeout)
        try openStore()
        // What was asked for at the beginning isn't asked for again at each reopening.
        self.options.withLock { $0.configure = nil }
    }

    // What can't be thrown isn't worth a wait.
    deinit { letGo(syncs: false) }

    /// Nanoseconds that a write may wait for the lock.
    public var timeout: UInt64 {
        get { timeoutWord.load(ordering: .relaxed) }
        set {
            timeoutWord.store(newValue, ordering: .relaxed)
            options.withLock { $0.timeout = newValue }
        }
    }

    @inline(never)
    private func openStore() throws(EngineError) {
        let result = opening.withLock { _ -> Result<Void, EngineError> in
            let current = ForkGuard.forks.load(ordering: .relaxed)
            if pointer.load(ordering: .acquiring) != 0 {
                if forks.load(ordering: .relaxed) == current { return .success(()) }
                // The parent's: nothing of it may be closed or unmapped here, so it is left as it is.
                pointer.store(0, ordering: .sequentiallyConsistent)
            }
            do throws(EngineError) {
                let store = try OpenStores.shared.open(
                    path, options: options.withLock { $0 }, environment: environment)
                forks.store(ForkGuard.forks.load(ordering: .relaxed), ordering: .relaxed)
                pointer.store(
                    UInt(bitPattern: Unmanaged.passRetained(store).toOpaque()), ordering: .sequentiallyConsistent)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Whether the calling thread has a transaction of several verbs open here.
    public var isInTransaction: Bool {
        let pin = ReaderPins.enter(pins)
        defer { ReaderPins.leave(pin) }
        let address = pointer.load(ordering: .sequentiallyConsistent)
        return address != 0 && Self.store(at: address)._withUnsafeGuaranteedRef { $0.isInTransaction }
    }

    /// Whether the store is open, and this process's own: whether a call needs to open nothing.
    var isOpen: Bool {
        pointer.load(ordering: .acquiring) != 0
            && forks.load(ordering: .relaxed) == ForkGuard.forks.load(ordering: .relaxed)
    }

    /// Lets go of the directory. Idempotent; the next call of anything opens it again. Waits for a sync, unless durability is `none`, and
    /// for the write lock.
    ///
    /// What kept the sync from being done, if something did: all is let go of then as well.
    @discardableResult
    public func close() -> EngineError? { letGo(syncs: true) }

    /// `syncs`: also if others here have the store open, whose last one syncs in any case.
    @discardableResult
    private func letGo(syncs: Bool) -> EngineError? {
        opening.withLock { _ -> EngineError? in
            let open = pointer.load(ordering: .acquiring)
            guard open != 0 else { return nil }
            let own = forks.load(ordering: .relaxed) == ForkGuard.forks.load(ordering: .relaxed)
            // Not while another thread is between two verbs of a transaction: its next one would open the store again and wait
            // for its own lock. After two seconds the store is closed all the same.
            let lock = Self.store(at: open).takeUnretainedValue().lock
            let isQuiet = own && !lock.isHeldByThisThread && (try? lock.acquire(timeout: 2_000_000_000)) != nil
            let address = pointer.exchange(0, ordering: .sequentiallyConsistent)
            if isQuiet { lock.release() }
            guard address != 0 else { return nil }
            // A child leaves its parent's store alone.
            guard forks.load(ordering: .relaxed) == ForkGuard.forks.load(ordering: .relaxed) else { return nil }
            let failure = OpenStores.shared.close(Self.store(at: address).takeUnretainedValue(), syncs: syncs)
            ReaderPins.retire { Self.store(at: address).release() }
            return failure
        }
    }

    @inline(__always) private static func store(at address: UInt) -> Unmanaged<Store> {
        Unmanaged.fromOpaque(UnsafeRawPointer(bitPattern: address)!)
    }

    // MARK: Access

    /// The right to use the store and what lies in its mappings, until `end` is called. Not to be kept across calls.
    public struct Access {
        let store: Unmanaged<Store>
        let pin: UnsafeMutableRawPointer
    }

    /// Begins an access; opens the store if need be. Every `begin` needs an `end`, on the same thread.
    @inline(__always)
    func beginAccess() throws(EngineError) -> Access {
        let pin = ReaderPins.enter(pins)
        let address = pointer.load(ordering: .sequentiallyConsistent)
        if address != 0, forks.load(ordering: .relaxed) == ForkGuard.forks.load(ordering: .relaxed) {
            return Access(store: Self.store(at: address), pin: pin)
        }
        return try beginAccessByOpening(pin)
    }

    @inline(never)
    private func beginAccessByOpening(_ first: UnsafeMutableRawPointer) throws(EngineError) -> Access {
        ReaderPins.leave(first)
        while true {
            try openStore()
            let pin = ReaderPins.enter(pins)
            let address = pointer.load(ordering: .sequentiallyConsistent)
            if address != 0, forks.load(ordering: .relaxed) == ForkGuard.forks.load(ordering: .relaxed) {
                return Access(store: Self.store(at: address), pin: pin)
            }
            ReaderPins.leave(pin)
        }
    }

    /// Counts a read among hits and misses, if they are counted.
    @inline(__always)
    public func count(isHit: Bool, _ access: Access) {
        access.store._withUnsafeGuaranteedRef { store in
            if Modes(raw: store.block.modes.relaxed()).countsReads { store.block.count(isHit: isHit) }
        }
    }

    /// Ends an access.
    @inline(__always) public func end(_ access: Access) { ReaderPins.leave(access.pin) }

    /// The record that a key has now, expired or not, and the access under which it may be read; `end` must follow. `counts`: the
    /// caller reads the value for its user, which the eviction policy may want to know.
    public func find(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, counts: Bool = false
    ) throws(EngineError) -> (record: Record?, access: Access) {
        let access = try beginAccess()
        // By hand, since a strong reference would cost two atomic operations on a line that all threads share.
        let result = access.store._withUnsafeGuaranteedRef { store -> Result<Record?, EngineError> in
            do throws(EngineError) {
                return .success(try store.find(keyClass, key, counts: counts))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let record): return (record, access)
        case .failure(let error):
            ReaderPins.leave(access.pin)
            throw error
        }
    }

    /// A key's value where it lies, as far as a read needs it: four words, which a function returns in registers.
    public struct FoundValue {
        /// Where the bytes lie; nil: the key is missing or expired.
        public let start: UnsafeRawPointer?
        private let formAndCount: UInt64
        /// Under this the bytes may be read; `end` must follow.
        public let access: Access

        @inline(__always) init(_ record: Record?, _ access: Access) {
            start = record?.value.baseAddress
            formAndCount = record.map { UInt64($0.form) &<< 48 | UInt64($0.value.count) } ?? 0
            self.access = access
        }

        /// The form that was given to `put`.
        @inline(__always) public var form: UInt16 { UInt16(truncatingIfNeeded: formAndCount &>> 48) }
        /// The bytes; of a value in a file of its own they are the reference to it.
        @inline(__always) public var bytes: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: start, count: Int(formAndCount & 0xFFFF_FFFF_FFFF))
        }
    }

    /// The value that a key has now, for its user: told to the eviction policy, and counted among hits and misses unless it lies in a
    /// file of its own, for then the caller has yet to find out.
    public func findValue(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer
    ) throws(EngineError) -> FoundValue {
        let access = try beginAccess()
        let result = access.store._withUnsafeGuaranteedRef { store -> Result<FoundValue, EngineError> in
            do throws(EngineError) {
                let record = try store.find(keyClass, key, counts: true)
                guard let record, !record.bits.has(RecordBits.expiry) || isLive(record) else {
                    if Modes(raw: store.block.modes.relaxed()).countsReads { store.block.count(isHit: false) }
                    return .success(FoundValue(nil, access))
                }
                if Modes(raw: store.block.modes.relaxed()).countsReads, !ValueFormCode.isFile(record.form) {
                    store.block.count(isHit: true)
                }
                return .success(FoundValue(record, access))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let found): return found
        case .failure(let error):
            ReaderPins.leave(access.pin)
            throw error
        }
    }

    @inline(never) private func isLive(_ record: Record) -> Bool { !(record.expiry.map { $0 <= now() } ?? false) }

    /// Microseconds since 1970, as this store sees them.
    @inline(__always) public func now() -> Int64 { environment.wallClock() }

    /// Begins an access without looking for anything; `end` must follow.
    public func open() throws(EngineError) -> Access { try beginAccess() }

    /// Stores a value; as `Store.put`.
    public func put(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16, value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, condition: Store.PutCondition
    ) throws(EngineError) -> Bool {
        let access = try beginAccess()
        defer { ReaderPins.leave(access.pin) }
        let timeout = timeoutWord.load(ordering: .relaxed)
        let result = access.store._withUnsafeGuaranteedRef { store -> Result<Bool, EngineError> in
            do throws(EngineError) {
                return .success(
                    try store.put(
                        timeout: timeout, keyClass, key, form: form, value: value, attributes, condition: condition))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Runs `body` with the store of an access.
    public func withStoreOf<R>(_ access: Access, _ body: (Store) throws -> R) rethrows -> R {
        try body(access.store.takeUnretainedValue())
    }

    /// Runs `body` with the open store.
    public func withStore<R>(_ body: (Store) throws(EngineError) -> R) throws(EngineError) -> R {
        let access = try beginAccess()
        defer { end(access) }
        return try body(access.store.takeUnretainedValue())
    }
}
