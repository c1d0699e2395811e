import Testing

@testable import DiskCacheEngine

/// How long a new segment is (FORMAT.md, "Making one").
@Suite struct SegmentLengthTests {
    private let busy = 512 << 10

    @Test func growsWithWhatWasWritten() {
        #expect(Log.length(0, written: 0, busy: busy) == 64 << 10)
        #expect(Log.length(0, written: 4 << 20, busy: busy) == 128 << 10)
        #expect(Log.length(0, written: 1 << 40, busy: busy) == 512 << 10)
        // A small size limit binds.
        #expect(Log.length(0, written: 1 << 40, busy: 64 << 10) == 64 << 10)
    }

    @Test func growsWithTheLog() {
        #expect(Log.length(64 << 20, written: 64 << 20, busy: busy) == 2 << 20)
        #expect(Log.length(1 << 50, written: 1 << 50, busy: busy) == SegmentHeader.maximumLength)
        #expect(Log.length(0, written: 0, busy: busy, atLeast: 100_000) == 128 << 10)
    }
}
