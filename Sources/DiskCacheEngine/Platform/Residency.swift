import Synchronization

/// Whether pages of mapped files are in memory, so that reading them doesn't wait for a disk: mincore(2), and a memory of what it said.
///
/// A page that was in memory a moment ago most likely still is. So an answer counts for an eighth of a second, and a page that is read
/// often costs one load instead of a system call. Whoever reads on this may meet a page fault all the same, seldom: the kernel may
/// take a page between the answer and the reading.
struct Residency {
    /// page number 36 bits | time 28, in units of 2^26 ns: which page was found in memory, and when. Hints; a race loses one.
    private nonisolated(unsafe) static let seen: UnsafeMutablePointer<Atomic<UInt64>> = {
        let words = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: places)
        for place in 0..<places { (words + place).initialize(to: Atomic(0)) }
        return words
    }()
    private static let places = 8192
    private static let pageSize = SystemCalls.pageSize()

    private let time = SystemCalls.monotonicClock() &>> 26 & 0xFFF_FFFF

    /// Whether `count` bytes are in memory, as far as one can tell.
    func has(_ start: UnsafeRawPointer, count: Int) -> Bool {
        let first = UInt(bitPattern: start) / UInt(Self.pageSize)
        let last = (UInt(bitPattern: start) &+ UInt(max(count, 1)) &- 1) / UInt(Self.pageSize)
        for page in first...last where !hasPage(UInt64(page)) { return false }
        return true
    }

    private func hasPage(_ page: UInt64) -> Bool {
        let word = Self.seen + Int(truncatingIfNeeded: (page &* 0x9e37_79b9_7f4a_7c15) &>> 51)
        let known = word.pointee.load(ordering: .relaxed)
        if known &>> 28 == page & 0xF_FFFF_FFFF, (time &- known) & 0xFFF_FFFF < 2 { return true }
        guard let address = UnsafeMutableRawPointer(bitPattern: UInt(page) &* UInt(Self.pageSize)),
            SystemCalls.isInMemory(address, pageSize: Self.pageSize)
        else { return false }
        word.pointee.store(page &<< 28 | time, ordering: .relaxed)
        return true
    }
}
