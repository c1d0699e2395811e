import Synchronization

/// Tells when no thread can still be reading through a mapping that was replaced.
///
/// A reader enters before it loads a pointer and leaves after its last use; whoever replaces a pointer retires the old
/// mapping here, and it is unmapped once every reader that might have loaded it has left. Readers count themselves in
/// one of 32 striped counters, so threads don't share a cache line; each stripe has two counters, and new readers are
/// steered to one while the other drains (the idea of sleepable RCU, McKenney, 2006). Nothing ever waits for a reader.
///
/// Invariant: a retired item is freed only after each of the 64 counters was seen at zero since it was retired. A reader
/// that had loaded the old pointer holds one of them above zero until it leaves; one that enters later sees the new pointer.
package enum ReaderPins {
    typealias Counter = UnsafeMutablePointer<Atomic<Int>>

    private static let stripeCount = 32
    /// Two counters at the start of each 128 bytes.
    private nonisolated(unsafe) static let stripes: UnsafeMutableRawPointer = {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: stripeCount * 128, alignment: 128)
        _ = memory.initializeMemory(as: UInt8.self, repeating: 0, count: stripeCount * 128)
        return memory
    }()
    private static let parity = Atomic<Int>(0)

    private struct Retired {
        var seen = [Bool](repeating: false, count: stripeCount * 2)
        let free: @Sendable () -> Void
    }
    private static let retired = Guarded<[Retired]>([])

    /// The place of the stripes: to be kept by hot callers, so that they need not ask for the static.
    static var base: UnsafeMutableRawPointer { stripes }

    /// Counts the calling thread in; to be handed to `leave`.
    @inline(__always) static func enter(_ base: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let thread = SystemCalls.threadID()
        let stripe = Int(truncatingIfNeeded: (thread &>> 12) ^ (thread &>> 20)) & (stripeCount &- 1)
        let counter = base + (stripe &* 128 &+ parity.load(ordering: .relaxed) &* 8)
        counter.assumingMemoryBound(to: Atomic<Int>.self).pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return counter
    }

    @inline(__always) static func leave(_ counter: UnsafeMutableRawPointer) {
        counter.assumingMemoryBound(to: Atomic<Int>.self).pointee.wrappingSubtract(1, ordering: .releasing)
    }

    /// Runs `free` when no reader that entered before now is left: at once, or in a later `collect`.
    static func retire(_ free: @escaping @Sendable () -> Void) {
        retireLater(free)
        collect()
    }

    /// As `retire`, but `free` isn't run before the next `collect`: for callers that hold a lock which it takes.
    static func retireLater(_ free: @escaping @Sendable () -> Void) {
        retired.withLock { $0.append(Retired(free: free)) }
    }

    /// Frees what nobody can be reading any more. Cheap when nothing waits.
    static func collect() {
        var ready: [Retired] = []
        retired.withLock { items in
            guard !items.isEmpty else { return }
            for _ in 0..<2 {
                atomicMemoryFence(ordering: .sequentiallyConsistent)
                for counter in 0..<stripeCount * 2 {
                    let address = stripes + (counter / 2 * 128 + counter % 2 * 8)
                    if address.assumingMemoryBound(to: Atomic<Int>.self).pointee.load(ordering: .acquiring) == 0 {
                        for index in items.indices { items[index].seen[counter] = true }
                    }
                }
                parity.store(1 - parity.load(ordering: .relaxed), ordering: .sequentiallyConsistent)
            }
            ready = items.filter { !$0.seen.contains(false) }
            items.removeAll { !$0.seen.contains(false) }
        }
        for item in ready { item.free() }
    }

    /// How many retired mappings wait for a reader.
    package static var waiting: Int { retired.withLock { $0.count } }
}
