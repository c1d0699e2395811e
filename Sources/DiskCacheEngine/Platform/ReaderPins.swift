import Synchronization

/// Tells when no thread can still be reading through a mapping that was replaced.
///
/// A reader enters before it loads a pointer and leaves after its last use, on the same thread; whoever replaces a pointer retires the
/// old mapping here, and it is unmapped once every reader that might have loaded it has left. Readers count themselves in
/// one of 32 stripes, so threads don't share a cache line; each stripe has two counters, and new readers are
/// steered to one while the other drains (the idea of sleepable RCU, McKenney, 2006). Nothing ever waits for a reader.
///
/// A stripe belongs to the first thread that comes to it, and has two counters more that only that thread changes, so that it leaves
/// with a plain store. If it ends, a thread that gets its number owns the stripe; the others go on sharing.
///
/// Invariant: a retired item is freed only after each of the 128 counters was seen at zero since it was retired. A reader
/// that had loaded the old pointer holds one of them above zero until it leaves; one that enters later sees the new pointer.
package enum ReaderPins {
    private static let stripeCount = 32
    /// shared counters 2 × 8 · … · from 64 on: the owner's counters 2 × 8, owner 8 · …: 128 bytes, two cache lines.
    private static let stripeSize = 128
    private static let ownCounters = 64
    private static let owner = 80
    /// Where in a stripe the counters are.
    private static let counters = [0, 8, ownCounters, ownCounters + 8]

    private nonisolated(unsafe) static let stripes: UnsafeMutableRawPointer = {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: stripeCount * stripeSize, alignment: stripeSize)
        _ = memory.initializeMemory(as: UInt8.self, repeating: 0, count: stripeCount * stripeSize)
        return memory
    }()
    private static let parity = Atomic<Int>(0)

    private struct Retired {
        var seen = [Bool](repeating: false, count: stripeCount * counters.count)
        let free: @Sendable () -> Void
    }
    private static let retired = Guarded<[Retired]>([])

    /// The place of the stripes: to be kept by hot callers, so that they need not ask for the static.
    static var base: UnsafeMutableRawPointer { stripes }

    /// Counts the calling thread in; to be handed to `leave`.
    @inline(__always) static func enter(_ base: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let thread = SystemCalls.threadID()
        let number = Int(truncatingIfNeeded: (thread &>> 12) ^ (thread &>> 20)) & (stripeCount &- 1)
        let stripe = base + number &* stripeSize
        let offset = isOwner(thread, of: stripe) ? ownCounters : 0
        let counter = stripe + (offset &+ parity.load(ordering: .relaxed) &* 8)
        // A fence too: no load of the reader's is done before others can see that it is there.
        word(counter).pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return counter
    }

    @inline(__always) static func leave(_ counter: UnsafeMutableRawPointer) {
        if UInt(bitPattern: counter) & UInt(ownCounters) != 0 {
            word(counter).pointee.store(word(counter).pointee.load(ordering: .relaxed) &- 1, ordering: .releasing)
        } else {
            word(counter).pointee.wrappingSubtract(1, ordering: .releasing)
        }
    }

    @inline(__always) private static func word(_ address: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<Int>>
    {
        address.assumingMemoryBound(to: Atomic<Int>.self)
    }

    /// Whether a stripe belongs to the calling thread, which has this number.
    @inline(__always)
    private static func isOwner(_ thread: UInt, of stripe: UnsafeMutableRawPointer) -> Bool {
        let own = Int(bitPattern: thread)
        let found = word(stripe + owner).pointee.load(ordering: .relaxed)
        return found == own || found == 0 && claim(stripe, own)
    }

    @inline(never)
    private static func claim(_ stripe: UnsafeMutableRawPointer, _ thread: Int) -> Bool {
        word(stripe + owner).pointee.compareExchange(expected: 0, desired: thread, ordering: .relaxed).exchanged
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
                for counter in 0..<stripeCount * counters.count {
                    let stripe = stripes + counter / counters.count * stripeSize
                    if word(stripe + counters[counter % counters.count]).pointee.load(ordering: .acquiring) == 0 {
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
