import Testing

@testable import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct ResidencyTests {
    #if os(Linux)
        /// Pages of a file that the kernel let go of aren't in memory, until they are read.
        @Test func pagesThatWereLetGoOfAreNotInMemory() throws {
            let path = "/tmp/diskcache-residency-\(UInt64.random(in: 0..<1 << 60))"
            let file = open(path, O_RDWR | O_CREAT, 0o600)
            #expect(file >= 0)
            defer {
                close(file)
                unlink(path)
            }
            let page = SystemCalls.pageSize()
            let bytes = [UInt8](repeating: 7, count: 64 * page)
            #expect(write(file, bytes, bytes.count) == bytes.count)
            #expect(fsync(file) == 0)
            #expect(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0)
            let base = try #require(mmap(nil, 64 * page, PROT_READ, MAP_SHARED, file, 0))
            defer { munmap(base, 64 * page) }
            _ = madvise(base, 64 * page, Int32(MADV_RANDOM))
            let farPage = base + 40 * page
            // A file system in memory lets go of nothing.
            guard !Residency().has(farPage, count: page) else { return }
            #expect(!Residency().has(base + 39 * page + 100, count: 2 * page))
            #expect(farPage.load(fromByteOffset: 5, as: UInt8.self) == 7)
            #expect(Residency().has(farPage, count: page))
            #expect(Residency().has(farPage, count: 1))
            #expect(!Residency().has(farPage, count: 20 * page))
        }
    #endif

    @Test func memoryInUseIsInMemory() {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 1)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 1, count: 1 << 20)
        for offset in stride(from: 0, to: 1 << 20, by: 10_000) { #expect(Residency().has(bytes + offset, count: 8)) }
        #expect(Residency().has(bytes, count: 1 << 20))
    }

    @Test func whatIsNotMappedIsNotInMemory() {
        #expect(!Residency().has(UnsafeRawPointer(bitPattern: 0x1000)!, count: 8))
    }
}
