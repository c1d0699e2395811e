import DiskCacheEngine
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

#if FAILPOINTS && (os(Linux) || os(Android))
    /// A segment that is mapped needs no descriptor once it is durable: a process may have fewer than a store has segments.
    @Suite struct SegmentFileTests {
        /// The segments below a directory that this process has open.
        private func openSegments(_ path: String) throws -> Int {
            let files = SystemFiles()
            return try files.list(files.open("/proc/self/fd", in: nil, [.directory])).count { number in
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = buffer.withUnsafeMutableBytes { raw in
                    readlink("/proc/self/fd/\(number)", raw.bindMemory(to: CChar.self).baseAddress!, raw.count)
                }
                let target = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
                return target.hasPrefix(path) && target.hasSuffix(".seg")
            }
        }

        private func segments(_ path: String) -> Int {
            TestDirectory.filesBelow(path).count { $0.hasSuffix(".seg") }
        }

        private func value(_ number: Int) -> [UInt8] {
            [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 3000)
        }

        @Test func durableOnesAreNotKeptOpen() throws {
            let scratch = try TestDirectory("segment files")
            let path = scratch.path + "/store"
            let writer = try StoreClient(path, syncInterval: 3_600_000_000)
            for number in 0..<1000 { try writer.set("key \(number)", value(number)) }
            #expect(segments(path) > 30)
            let before = try openSegments(path)
            #expect(before > 30)
            try writer.sync()
            // The newest, which is appended to, and the spare.
            #expect(try openSegments(path) <= 2)
            for number in 0..<1000 { #expect(try writer.get("key \(number)") == .bytes(value(number))) }
            #expect(try writer.findings() == [])
            writer.handle.close()
            let reader = try StoreClient(asItIs: path)
            for number in 0..<1000 { #expect(try reader.get("key \(number)") == .bytes(value(number))) }
            #expect(try openSegments(path) <= 2)
            reader.handle.close()
        }

        /// What this process has mapped, not open, and must map again in a greater window, may have lost its name meanwhile.
        @Test func othersCompactWhatIsMapped() throws {
            let scratch = try TestDirectory("segment files")
            let path = scratch.path + "/store"
            let client = try StoreClient(path)
            try client.configure { $0.evictionPolicy = .none }
            for number in 0..<100 { try client.set("mine \(number)", value(number)) }
            try client.sync()
            let seed = ReplayableRandom.seed(for: "others compact what is mapped")
            // More than half of the window.
            let child = try ChildProcess(["churn", "directory=\(path)", "seed=\(seed >> 24)", "count=100000"])
            #expect(child.finish(seconds: 300).end == .exited(0), "CRASH_SEED=\(seed)")
            for number in 0..<100 { #expect(try client.get("mine \(number)") == .bytes(value(number))) }
            try client.set("another", [1])
            #expect(try client.get("another") == .bytes([1]))
            try client.sync()
            #expect(try openSegments(path) <= 2)
            #expect(try client.findings() == [])
            client.handle.close()
        }
    }
#endif
