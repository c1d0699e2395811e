import TestSupport
import Testing

@testable import DiskCacheCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Android)
    import Android
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct ValuesTests {
    @Test func errorsMatchByCode() throws {
        func fail() throws { throw CacheError(.timeout, "no lock", path: "/tmp/x", errno: 11, removed: 3) }
        var caught = false
        do {
            try fail()
        } catch CacheError.Code.closed {
            Issue.record("matched another code")
        } catch CacheError.Code.timeout {
            caught = true
        }
        #expect(caught)
        do {
            try fail()
        } catch {
            #expect("\(error)" == "timeout: no lock (path /tmp/x, errno 11, removed 3)")
        }
        #expect("\(CacheError(.closed))" == "closed")
    }

    @Test func expirations() {
        let now: Int64 = 1_700_000_000_000_000
        #expect(Expiration.never.microseconds(now: now) == nil)
        #expect(Expiration.after(.seconds(5)).microseconds(now: now) == now + 5_000_000)
        #expect(Expiration.after(.nanoseconds(1)).microseconds(now: now) == now + 1)
        #expect(Expiration.after(.nanoseconds(1001)).microseconds(now: now) == now + 2)
        #expect(Expiration.after(.zero).microseconds(now: now) == now)
        #expect(Expiration.after(.nanoseconds(-1500)).microseconds(now: now) == now - 1)
        #expect(Expiration.after(.seconds(Int64.max)).microseconds(now: now) == .max)
        #expect(Expiration.after(.seconds(Int64.max) + .seconds(Int64.max)).microseconds(now: now) == .max)
        #expect(Expiration.after(.seconds(Int64.min) + .seconds(Int64.min)).microseconds(now: now) == 1)
        #expect(Expiration.after(.seconds(Int64.max)).microseconds(now: .min) != nil)
        #expect(Expiration.after(.seconds(1)).microseconds(now: .max) == .max)
        #expect(Expiration.at(secondsSinceEpoch: 1.5).microseconds(now: now) == 1_500_000)
        #expect(Expiration.at(secondsSinceEpoch: 1.0000001).microseconds(now: now) == 1_000_001)
        #expect(Expiration.at(secondsSinceEpoch: -5).microseconds(now: now) == 1)
        #expect(Expiration.at(secondsSinceEpoch: -.infinity).microseconds(now: now) == 1)
        #expect(Expiration.at(secondsSinceEpoch: .infinity).microseconds(now: now) == nil)
        #expect(Expiration.at(secondsSinceEpoch: 1e300).microseconds(now: now) == .max)
        #expect(Expiration.at(secondsSinceEpoch: .nan).microseconds(now: now) == now)
    }

    @Test func tags() throws {
        func stored(_ tag: DiskCacheCore.Tag) throws -> StoredKey { try tag.withBytes { StoredKey($0, Array($1)) } }
        let tags: [DiskCacheCore.Tag] = [1, -5, 2.5, "text", [1, 2], .int(.max), "\("a")b"]
        for tag in tags {
            let key = try stored(tag)
            let again = try key.bytes.withUnsafeBytes { try DiskCacheCore.Tag(form: key.keyClass, bytes: $0) }
            #expect(again == tag && "\(again)" == "\(tag)")
        }
        #expect(DiskCacheCore.Tag.int(1) == .double(1) && Set([DiskCacheCore.Tag.int(1), .double(1)]).count == 1)
        #expect(try stored(1).isSameKey(as: stored(1.0)) && stored(1) != stored(1.0))
        #expect(DiskCacheCore.Tag.string("a") != .bytes([97]) && DiskCacheCore.Tag.string("e\u{301}") != "\u{e9}")
        #expect(hex(try stored(7).bytes) == "c01c000000000000")
        #expect(performing: { try stored(.double(.nan)) }, throws: { CacheError.Code.keyInvalid ~= $0 })
        for form: UInt8 in [0, 5, 6, 7, 200] {
            #expect(throws: CacheError.self) {
                try [UInt8]().withUnsafeBytes { try DiskCacheCore.Tag(form: form, bytes: $0) }
            }
        }
    }

    @Test func policyNamesArePinned() {
        #expect(
            EvictionPolicy.allCases.map(\.rawValue) == [
                "least-recently-stored", "least-recently-used", "least-frequently-used", "none",
            ])
    }

    @Test func chunks() throws {
        var source = ChunkSource([Array(0..<10), [], [42]] as [[UInt8]])
        var all: [UInt8] = []
        while let piece = try source.next(maximum: 4) {
            #expect(piece.count <= 4)
            all += piece
        }
        #expect(all == Array(0..<10) + [42])
        #expect(try source.next(maximum: 4) == nil)
    }

    @Test func descriptors() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let sent: [UInt8] = Array(0..<100)
        #expect(write(ends[1], sent, sent.count) == 100)
        close(ends[1])
        var source = FileDescriptorSource(ends[0])
        var all: [UInt8] = []
        while let piece = try source.next(maximum: 33) { all += piece }
        #expect(all == sent)
        close(ends[0])
        var closed = FileDescriptorSource(-1)
        #expect(performing: { try closed.next(maximum: 1) }, throws: { ($0 as? CacheError)?.errno == EBADF })
    }
}
