/// A store as the scripts drive it. Each call is one transaction, visible to other processes when it returns (where the
/// store has other processes at all), and made as durable as the conditions say.
///
/// An engine is a `final class` that isn't generic. It implements what its contestant's `verbs` need, and all but `run`,
/// whose default is specialised for it in the module that declares the conformance: the timed loop calls the engine
/// directly.
public protocol Engine: AnyObject {
    /// Stores `value` under `key`.
    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws

    /// Copies the value of `key` into `buffer`, which is large enough, and returns its size; -1 if there is none.
    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int

    /// Deletes `key`; whether it was there, as far as the engine tells.
    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool

    /// The first eight bytes of a value, read where it lies; nil if there is none. Throws if its size isn't `size`.
    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64?

    /// The value as a new array.
    func array(_ key: UnsafeRawBufferPointer) throws -> [UInt8]?

    /// The value as a new string.
    func string(_ key: UnsafeRawBufferPointer) throws -> String?

    /// Counts the number under `key` up by one, from 0 if there is none; the new number.
    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64

    /// Appends to the one queue.
    func push(_ value: UnsafeRawBufferPointer) throws

    /// Takes the first of the queue into `buffer`; its size, or -1.
    func pull(into buffer: UnsafeMutableRawBufferPointer) throws -> Int

    /// Visits `count` keys with their values from `key` on, fewer at the end; how many.
    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int

    /// Visits all keys, in their order or as they were stored; how many.
    func scan(sorted: Bool) throws -> Int

    /// Does the steps, all of which store anew, as fast as the engine can: many to a transaction where it has any.
    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws

    /// The same store for one more thread.
    func session() throws -> any Engine

    /// Gives back space, as far as the engine does that when it is told.
    func compact() throws

    /// Closes the store; the contestant opens it again.
    func close() throws

    /// Does all steps and returns the nanoseconds that took. With `latencies`, each step's time is stored there.
    func run(
        _ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers, latencies: UnsafeMutablePointer<UInt32>?
    ) throws -> UInt64
}

/// What an engine or a system call failed with.
public struct EngineError: Error, CustomStringConvertible {
    /// Which call on which engine, and what it answered.
    public let description: String

    /// An error that says `description`.
    public init(_ description: String) {
        self.description = description
    }
}

extension Engine {
    /// What an engine says of a call that its contestant doesn't offer.
    @inline(never)
    public func unsupported(_ call: String) -> EngineError { EngineError("\(Self.self) has no \(call)") }

    /// Not offered.
    public func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? { throw unsupported("borrow") }
    /// Not offered.
    public func array(_ key: UnsafeRawBufferPointer) throws -> [UInt8]? { throw unsupported("array") }
    /// Not offered.
    public func string(_ key: UnsafeRawBufferPointer) throws -> String? { throw unsupported("string") }
    /// Not offered.
    public func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 { throw unsupported("incr") }
    /// Not offered.
    public func push(_ value: UnsafeRawBufferPointer) throws { throw unsupported("push") }
    /// Not offered.
    public func pull(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { throw unsupported("pull") }
    /// Not offered.
    public func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int { throw unsupported("range") }
    /// Not offered.
    public func scan(sorted: Bool) throws -> Int { throw unsupported("scan") }
    /// This engine itself, which several threads may use.
    public func session() throws -> any Engine { self }
    /// Nothing, where there is nothing that does it.
    public func compact() throws {}

    /// One after another.
    @inlinable
    public func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        _ = try run(script, buffers, latencies: nil)
    }

    /// The timed loop; every answer is checked.
    @inlinable
    public func run(
        _ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers, latencies: UnsafeMutablePointer<UInt32>?
    ) throws -> UInt64 {
        try time(script.count, latencies: latencies) { index in
            try perform(script[index], buffers)
        }
    }

    @inlinable
    @inline(__always)
    func perform(_ step: UInt32, _ buffers: Buffers) throws {
        let number = step & Verb.numberMask
        let key = buffers.key(number)
        switch Verb(of: step) {
        case .set: try set(key, buffers.value(number, overwritten: false))
        case .overwrite: try set(key, buffers.value(number, overwritten: true))
        case .get:
            let size = try get(key, into: buffers.answerBuffer)
            guard buffers.isAnswerRight(size) else { throw wrongAnswer(step) }
        case .miss:
            guard try get(key, into: buffers.answerBuffer) == -1 else { throw wrongAnswer(step) }
        case .probe:
            let size = try get(key, into: buffers.answerBuffer)
            guard size == -1 || buffers.isAnswerRight(size) else { throw wrongAnswer(step) }
        case .borrow:
            guard let stamp = try borrow(key, size: buffers.valueSize), buffers.isRight(stamp) else {
                throw wrongAnswer(step)
            }
        case .array:
            guard let value = try array(key), value.count == buffers.valueSize,
                value.withUnsafeBytes({ buffers.isRight($0.loadUnaligned(as: UInt64.self)) })
            else { throw wrongAnswer(step) }
        case .string:
            guard var value = try string(key), value.utf8.count == buffers.valueSize,
                value.withUTF8({ buffers.isRight(UnsafeRawBufferPointer($0).loadUnaligned(as: UInt64.self)) })
            else { throw wrongAnswer(step) }
        case .modify:
            let size = try get(key, into: buffers.answerBuffer)
            guard buffers.isAnswerRight(size) else { throw wrongAnswer(step) }
            try set(key, buffers.value(number, overwritten: true))
        case .delete:
            guard try delete(key) else { throw wrongAnswer(step) }
        case .remove: _ = try delete(key)
        case .incr:
            guard try incr(key) > 0 else { throw wrongAnswer(step) }
        case .push: try push(buffers.value(number, overwritten: false))
        case .pull:
            guard try pull(into: buffers.answerBuffer) == buffers.valueSize else { throw wrongAnswer(step) }
        case .range:
            guard try range(from: key, count: buffers.rangeLength) > 0 else { throw wrongAnswer(step) }
        case .scanSorted:
            guard try scan(sorted: true) > 0 else { throw wrongAnswer(step) }
        case .scanInsertion:
            guard try scan(sorted: false) > 0 else { throw wrongAnswer(step) }
        }
    }

    @usableFromInline
    @inline(never)
    func wrongAnswer(_ step: UInt32) -> EngineError {
        EngineError("\(Self.self): wrong answer in \(Verb(of: step).name) for key \(step & Verb.numberMask)")
    }
}

/// Stores nothing: what the loop, the keys and the clock cost by themselves. Only set-new is run on it.
final class NoEngine: Engine {
    private var sum: UInt64 = 0

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        sum &+= key.loadUnaligned(fromByteOffset: 8, as: UInt64.self) ^ value.loadUnaligned(as: UInt64.self)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int { -1 }
    func delete(_ key: UnsafeRawBufferPointer) -> Bool { false }
    func close() {}
}
