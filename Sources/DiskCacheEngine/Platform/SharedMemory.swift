import Synchronization

/// An aligned 8-byte word of a mapping that other threads and processes read and write at the same time.
///
/// All protocols of DESIGN 4 and 5 are loads and stores of these words, in the order that the models of them prescribe.
struct SharedWord: @unchecked Sendable {
    let address: UnsafeMutablePointer<Atomic<UInt64>>

    @inline(__always) init(_ base: UnsafeMutableRawPointer, _ offset: Int) {
        address = (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always) func relaxed() -> UInt64 {
        StepPoint.access(.load, address)
        return address.pointee.load(ordering: .relaxed)
    }
    @inline(__always) func acquire() -> UInt64 {
        StepPoint.access(.load, address)
        return address.pointee.load(ordering: .acquiring)
    }
    @inline(__always) func store(_ value: UInt64) {
        if StepPoint.access(.store, address) { address.pointee.store(value, ordering: .relaxed) }
    }
    @inline(__always) func release(_ value: UInt64) {
        if StepPoint.access(.store, address) { address.pointee.store(value, ordering: .releasing) }
    }
    @inline(__always) func add(_ value: UInt64) {
        if StepPoint.access(.store, address) { address.pointee.wrappingAdd(value, ordering: .relaxed) }
    }
    /// Sets bits, whoever sets others at the same time.
    @inline(__always) func insert(_ bits: UInt64) {
        if StepPoint.access(.store, address) { address.pointee.bitwiseOr(bits, ordering: .relaxed) }
    }
    @inline(__always) func exchange(_ value: UInt64) -> UInt64 {
        StepPoint.access(.store, address)
            ? address.pointee.exchange(value, ordering: .acquiringAndReleasing)
            : address.pointee.load(ordering: .relaxed)
    }
}

/// An aligned 4-byte word of a mapping; see `SharedWord`.
struct SharedHalf: @unchecked Sendable {
    let address: UnsafeMutablePointer<Atomic<UInt32>>

    @inline(__always) init(_ base: UnsafeMutableRawPointer, _ offset: Int) {
        address = (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always) func relaxed() -> UInt32 {
        StepPoint.access(.load, address)
        return address.pointee.load(ordering: .relaxed)
    }
    @inline(__always) func acquire() -> UInt32 {
        StepPoint.access(.load, address)
        return address.pointee.load(ordering: .acquiring)
    }
    @inline(__always) func store(_ value: UInt32) {
        if StepPoint.access(.store, address) { address.pointee.store(value, ordering: .relaxed) }
    }
    @inline(__always) func release(_ value: UInt32) {
        if StepPoint.access(.store, address) { address.pointee.store(value, ordering: .releasing) }
    }
    @inline(__always) func add(_ value: UInt32) {
        if StepPoint.access(.store, address) { address.pointee.wrappingAdd(value, ordering: .acquiringAndReleasing) }
    }
    @inline(__always) func exchange(_ value: UInt32) -> UInt32 {
        StepPoint.access(.store, address)
            ? address.pointee.exchange(value, ordering: .acquiringAndReleasing)
            : address.pointee.load(ordering: .relaxed)
    }
}

/// Copies into mappings, and fences.
enum SharedMemory {
    /// Copies bytes into a mapping.
    @inline(__always)
    static func copy(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        #if FAILPOINTS
            // A line at a time: others may see a copy half done.
            if StepPoint.scheduler != nil {
                for at in stride(from: 0, to: count, by: 64)
                where StepPoint.access(at == 0 ? .store : .piece, target + at, 64) {
                    (target + at).copyMemory(from: source + at, byteCount: min(64, count - at))
                }
                return
            }
        #endif
        target.copyMemory(from: source, byteCount: count)
    }

    /// Zeroes bytes of a mapping.
    @inline(__always)
    static func zero(_ target: UnsafeMutableRawPointer, count: Int) {
        if StepPoint.access(.store, target, count) {
            _ = target.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        }
    }

    /// Loads before the fence are done before loads and stores after it.
    @inline(__always) static func acquireFence() { atomicMemoryFence(ordering: .acquiring) }
    /// Loads and stores before the fence are seen before stores after it.
    @inline(__always) static func releaseFence() { atomicMemoryFence(ordering: .releasing) }
    /// No load behind it is done before the stores in front of it are seen.
    @inline(__always) static func fullFence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}

/// Where a step machine takes hold of the engine: before each access to shared memory. Nothing in release builds.
package enum StepPoint {
    /// Whether a step machine decides how long something lasts, not the clock.
    @inline(__always) static var isTimeless: Bool {
        #if FAILPOINTS
            isScheduled()
        #else
            false
        #endif
    }

    package enum Access: Sendable {
        case load, store
        /// A further line of a copy.
        case piece
    }

    #if FAILPOINTS
        /// Called before each access, with its address and how many bytes; false: the access must not happen.
        package nonisolated(unsafe) static var scheduler: (@Sendable (Access, UInt, Int) -> Bool)?
        /// Whether the calling thread runs when a step machine lets it.
        package nonisolated(unsafe) static var isScheduled: @Sendable () -> Bool = { false }
    #endif

    @inline(__always) @discardableResult
    static func access(_ kind: Access, _ address: UnsafeRawPointer, _ count: Int = 8) -> Bool {
        #if FAILPOINTS
            if let scheduler { return scheduler(kind, UInt(bitPattern: address), count) }
        #endif
        return true
    }
}
