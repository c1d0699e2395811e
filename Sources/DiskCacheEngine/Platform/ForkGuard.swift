import Synchronization

/// Keeps the child of a fork from holding its parent's locks.
///
/// A `flock` belongs to the open file, which a child shares: it keeps its parent's lock for ever, though it does
/// nothing, and its LOCK_UN would free it under the parent (DESIGN 7.3, P27). So every descriptor that is ever locked
/// stands in a table from before it is locked until it is closed. One handler, run by `fork` in the child, makes each
/// of them another name of `/dev/null`, which lets go of the child's share alone, and counts `forks` up:
///
///     ForkGuard.register(file)
///     … lock it, work, unlock it …
///     ForkGuard.unregister(file)      // and close it then, never before
///
///     if ForkGuard.forks.load(ordering: .relaxed) != mine { reopen everything }
///
/// The handler runs where nothing is allowed but what is safe in a signal handler: it takes no lock, allocates
/// nothing, and reads plain memory that is right at every instant. Hence the table: chunks of words, each word a
/// descriptor or `empty`, taken and given back by one compare and exchange; chunks are added, never moved or freed.
///
/// A descriptor that a fork on another thread meets between its opening and `register` escapes: register at once.
/// A stale `forks` can't be read: in the child it changes before `fork` returns, on the only thread that there is.
enum ForkGuard {
    /// How many forks lie between this process and the first that called `install` or `register`.
    static let forks = Atomic<UInt32>(0)

    /// Counts forks from now on; what compares `forks` calls it first. `register` does too.
    static func install() { _ = installed }

    /// Gives `file` up in every child that is forked from now on.
    static func register(_ file: FileDescriptor) {
        install()
        var chunk = firstChunk
        while true {
            for index in 0..<Chunk.slots where take(chunk + index, Chunk.empty, Int(file.number)) { return }
            chunk = next(after: chunk)
        }
    }

    /// Takes `file` off the table. Before it is closed: its number could become another file's.
    static func unregister(_ file: FileDescriptor) {
        var chunk: Chunk.Pointer? = firstChunk
        while let found = chunk {
            for index in 0..<Chunk.slots where take(found + index, Int(file.number), Chunk.empty) { return }
            chunk = Chunk.Pointer(bitPattern: (found + Chunk.slots).pointee.load(ordering: .acquiring))
        }
    }

    /// How many descriptors are in the table.
    static var count: Int {
        var count = 0
        var chunk: Chunk.Pointer? = firstChunk
        while let found = chunk {
            for index in 0..<Chunk.slots where (found + index).pointee.load(ordering: .relaxed) != Chunk.empty {
                count += 1
            }
            chunk = Chunk.Pointer(bitPattern: (found + Chunk.slots).pointee.load(ordering: .acquiring))
        }
        return count
    }

    /// The words of a chunk: `slots` descriptors, then the address of the next chunk, 0 if there is none.
    private enum Chunk {
        typealias Pointer = UnsafeMutablePointer<Atomic<Int>>
        static let slots = 63
        static let empty = -1

        static func make() -> Pointer {
            let chunk = Pointer.allocate(capacity: slots + 1)
            for index in 0..<slots { (chunk + index).initialize(to: Atomic(empty)) }
            (chunk + slots).initialize(to: Atomic(0))
            return chunk
        }
    }

    nonisolated(unsafe) private static let firstChunk = Chunk.make()

    /// The handler, installed once; what it touches exists before it can run.
    private static let installed: Void = {
        _ = firstChunk
        _ = forks.load(ordering: .relaxed)
        _ = isForking.load(ordering: .relaxed)
        SystemCalls.atFork(
            prepare: { ForkGuard.holdWorker() }, inParent: { ForkGuard.isForking.store(false, ordering: .releasing) },
            inChild: {
                ForkGuard.isForking.store(false, ordering: .releasing)
                ForkGuard.leaveParent()
            })
    }()

    /// Whether a thread of this process is forking: the worker begins nothing then.
    static let isForking = Atomic<Bool>(false)

    /// What `fork` runs before. The language's runtime takes locks of its own when it makes a type for the first time; a child that
    /// is made while the worker holds one waits for it for ever. So the worker is met asleep, or in a long system call.
    private static func holdWorker() {
        isForking.store(true, ordering: .sequentiallyConsistent)
        let begun = SystemCalls.monotonicClock()
        while !Worker.isQuiet, SystemCalls.monotonicClock() - begun < 100_000_000 {
            SystemCalls.sleep(nanoseconds: 50_000)
        }
    }

    /// What `fork` runs in the child.
    private static func leaveParent() {
        var chunk: Chunk.Pointer? = firstChunk
        while let found = chunk {
            var index = 0
            while index < Chunk.slots {
                let number = (found + index).pointee.exchange(Chunk.empty, ordering: .relaxed)
                if number != Chunk.empty { SystemCalls.blank(Int32(truncatingIfNeeded: number)) }
                index += 1
            }
            chunk = Chunk.Pointer(bitPattern: (found + Chunk.slots).pointee.load(ordering: .acquiring))
        }
        forks.wrappingAdd(1, ordering: .relaxed)
    }

    private static func take(_ word: Chunk.Pointer, _ expected: Int, _ wanted: Int) -> Bool {
        word.pointee.compareExchange(expected: expected, desired: wanted, ordering: .acquiringAndReleasing).exchanged
    }

    private static func next(after chunk: Chunk.Pointer) -> Chunk.Pointer {
        let link = chunk + Chunk.slots
        if let found = Chunk.Pointer(bitPattern: link.pointee.load(ordering: .acquiring)) { return found }
        let made = Chunk.make()
        let (added, present) = link.pointee.compareExchange(
            expected: 0, desired: Int(bitPattern: made), ordering: .acquiringAndReleasing)
        if added { return made }
        made.deinitialize(count: Chunk.slots + 1)
        made.deallocate()
        return Chunk.Pointer(bitPattern: present)!
    }
}
