/// A store as the workloads drive it. Each call is one transaction, visible to other processes when it returns (where
/// the store has other processes at all), and made as durable as the engine's configuration says.
///
/// An engine is a `final class` that isn't generic. It implements all but `run`, whose default is specialised for it in
/// the module that declares the conformance, so the timed loops call the engine directly.
public protocol Engine: AnyObject {
    /// Stores `value` under `key`.
    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws

    /// Copies the value of `key` into `buffer`, which is large enough, and returns its size; -1 if there is none.
    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int

    /// Deletes `key`, which is there.
    func delete(_ key: UnsafeRawBufferPointer) throws

    /// Closes the store; only `reopen` may follow.
    func close() throws

    /// Opens the store again after `close`.
    func reopen() throws

    /// Does `operation` as often as `workload` says and returns the nanoseconds taken; see `time`.
    func run(
        _ operation: Operation, on workload: Workload, latencies: UnsafeMutablePointer<UInt32>?
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
    /// The timed loops of all operations; every answer is checked.
    @inlinable
    public func run(
        _ operation: Operation, on workload: Workload, latencies: UnsafeMutablePointer<UInt32>?
    ) throws -> UInt64 {
        let count = operation.count(keyCount: workload.keyCount)
        let numbers = workload.numbers
        let valueSize = workload.valueSize
        switch operation {
        case .setNew:
            return try time(count, latencies: latencies) { index in
                let number = numbers[index]
                try set(workload.key(number), workload.value(UInt64(number)))
            }
        case .getHit:
            return try time(count, latencies: latencies) { index in
                let number = numbers[index]
                let size = try get(workload.key(number), into: workload.answerBuffer)
                guard size == valueSize, workload.stamp == UInt64(number) else { throw wrongAnswer(operation, number) }
            }
        case .getMiss:
            return try time(count, latencies: latencies) { index in
                let number = numbers[index]
                let size = try get(workload.key(number), into: workload.answerBuffer)
                guard size == -1 else { throw wrongAnswer(operation, number) }
            }
        case .overwrite:
            return try time(count, latencies: latencies) { index in
                let number = numbers[index]
                try set(workload.key(number), workload.value(~UInt64(number)))
            }
        case .delete:
            return try time(count, latencies: latencies) { index in
                try delete(workload.key(numbers[index]))
            }
        case .reopen:
            return try runReopen(count, on: workload, latencies: latencies)
        }
    }

    /// Closes `count` times, and times the opening and first get that follow.
    @usableFromInline
    func runReopen(_ count: Int, on workload: Workload, latencies: UnsafeMutablePointer<UInt32>?) throws -> UInt64 {
        var total: UInt64 = 0
        for index in 0..<count {
            try close()
            let number = workload.numbers[index]
            let start = monotonicNanoseconds()
            try reopen()
            let size = try get(workload.key(number), into: workload.answerBuffer)
            let taken = monotonicNanoseconds() &- start
            latencies?[index] = UInt32(clamping: taken)
            total += taken
            guard size == workload.valueSize, min(workload.stamp, ~workload.stamp) == UInt64(number) else {
                throw wrongAnswer(.reopen, number)
            }
        }
        return total
    }

    /// After a turn of `operation` that reads nothing: looks at every hundredth of its keys, untimed.
    func verify(_ operation: Operation, on workload: Workload) throws {
        guard operation == .overwrite || operation == .delete else { return }
        let expectedSize = operation == .delete ? -1 : workload.valueSize
        for index in stride(from: 0, to: operation.count(keyCount: workload.keyCount), by: 100) {
            let number = workload.numbers[index]
            let size = try get(workload.key(number), into: workload.answerBuffer)
            guard size == expectedSize, size == -1 || workload.stamp == ~UInt64(number) else {
                throw wrongAnswer(operation, number)
            }
        }
    }

    @usableFromInline
    @inline(never)
    func wrongAnswer(_ operation: Operation, _ number: UInt32) -> EngineError {
        EngineError("\(Self.self): wrong answer in \(operation.rawValue) for key \(number)")
    }
}

/// Stores nothing: what the loops, the keys and the clock cost by themselves. Only `set-new` is run on it.
final class NoEngine: Engine {
    private var sum: UInt64 = 0

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        sum &+= key.loadUnaligned(fromByteOffset: 8, as: UInt64.self) ^ value.loadUnaligned(as: UInt64.self)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int { -1 }
    func delete(_ key: UnsafeRawBufferPointer) {}
    func close() {}
    func reopen() {}
}
