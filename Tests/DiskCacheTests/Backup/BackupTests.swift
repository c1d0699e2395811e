import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

/// Backups of caches that one process uses.
@Suite struct BackupTests {
    /// From memory and from the disk, to the same file system and to the other, shared and copied: the copy tells everything that the
    /// original tells.
    @Test func aBackupIsTheCache() throws {
        let site = try BackupSite("backups")
        for source in [site.memory.path, site.disk] {
            let cache = try site.cache(at: source + "/cache")
            let content = try BackupSite.content(cache)
            for target in [site.memory.path, site.disk] {
                for shares in [true, false] {
                    let path = "\(target)/copy of \(source == site.disk) \(shares)"
                    let backup = try cache.backup(to: path, shares: shares)
                    #expect(backup.losses.isEmpty && backup.files > 3 && backup.position > 0, "seed \(site.seed)")
                    #expect(try backup.count == cache.count)
                    // The last segment is copied in any case.
                    #expect(backup.copiedBytes > 0)
                    if shares && target == source {
                        #expect(backup.sharedBytes > backup.copiedBytes)
                    } else {
                        #expect(backup.sharedBytes == 0)
                    }
                    let copy = try Cache(directory: path)
                    #expect(try BackupSite.content(copy).isSame(as: content), "seed \(site.seed)")
                    #expect(try copy.check().isEmpty)
                    #expect(try copy.recovery?.losses == [] && copy.recovery?.reason.contains("a backup") == true)
                    // What is asked of a queue is in its record, not in its items.
                    #expect(try copy.pull(as: String.self)?.key == cache.peek(as: String.self)?.key)
                    #expect(try BackupSite.leftovers(target).isEmpty)
                }
            }
        }
    }

    /// What one of the two writes doesn't reach the files that both have.
    @Test func neitherSeesWhatTheOtherWrites() throws {
        let site = try BackupSite("backups apart")
        // Nothing moves by itself, and no file waits to be unlinked.
        let cache = try site.cache(at: site.disk + "/cache", items: 1500, isCompacted: false)
        try cache.sync()
        #expect(try cache.backup(to: site.disk + "/copy").sharedBytes > 0)
        let originals = try BackupSite.sealedFiles(site.disk + "/cache")
        let content = try BackupSite.content(cache)
        let copies = try BackupSite.sealedFiles(site.disk + "/copy")
        #expect(originals.count > 10 && copies.allSatisfy { originals[$0.key] == $0.value })

        let copy = try Cache(directory: site.disk + "/copy")
        try site.write(700, into: copy)
        try copy.clear()
        try site.write(100, into: copy)
        try copy.sync()
        #expect(try copy.check().isEmpty)
        #expect(try BackupSite.sealedFiles(site.disk + "/cache") == originals, "seed \(site.seed)")
        #expect(try BackupSite.content(cache).isSame(as: content))
        #expect(try cache.check().isEmpty)
        try copy.close()

        let second = site.disk + "/second"
        try cache.backup(to: second)
        let before = try BackupSite.sealedFiles(second)
        try site.write(700, into: cache)
        try cache.clear()
        try site.write(100, into: cache)
        try cache.sync()
        #expect(try cache.check().isEmpty)
        #expect(try BackupSite.sealedFiles(second) == before, "seed \(site.seed)")
        let restored = try Cache(directory: second)
        #expect(try BackupSite.content(restored).isSame(as: content))
        #expect(try restored.check().isEmpty)
    }

    /// A backup of a backup that was written to, again and again.
    @Test func backupsOfBackups() throws {
        let site = try BackupSite("backups of backups")
        var cache = try site.cache(at: site.disk + "/0", items: 200)
        for generation in 1...6 {
            let content = try BackupSite.content(cache)
            let backup = try cache.backup(to: site.disk + "/\(generation)")
            #expect(backup.losses.isEmpty)
            cache = try Cache(directory: site.disk + "/\(generation)")
            #expect(try BackupSite.content(cache).isSame(as: content), "seed \(site.seed), generation \(generation)")
            try site.write(200, into: cache)
            if generation == 3 { try cache.clear() }
            #expect(try cache.check().isEmpty)
        }
    }

    @Test func emptyCaches() throws {
        let site = try BackupSite("empty backups")
        let cache = try Cache(directory: site.disk + "/cache")
        let backup = try cache.backup(to: site.disk + "/nothing")
        #expect(backup.count == 0 && backup.files == 0)
        try cache.set("a", 1)
        try cache.clear()
        try cache.backup(to: site.disk + "/cleared")
        for name in ["nothing", "cleared"] {
            let copy = try Cache(directory: site.disk + "/" + name)
            #expect(try copy.count == 0)
            try copy.set("b", 2)
            #expect(try copy.check().isEmpty)
        }
    }

    @Test func whereSomethingStands() throws {
        let site = try BackupSite("occupied targets")
        let cache = try site.cache(at: site.disk + "/cache", items: 50)
        let files = SystemFiles()
        try files.makeDirectory(site.disk + "/empty", in: nil, mode: 0o755)
        try cache.backup(to: site.disk + "/empty/")
        try files.makeDirectory(site.disk + "/full", in: nil, mode: 0o755)
        let file = try files.open(site.disk + "/full/note", in: nil, [.write, .create])
        try files.write(file, [1, 2, 3], at: 0)
        SystemState.makeLink(site.disk + "/link", to: site.disk + "/nowhere")
        for name in ["full", "full/note", "empty", "link", "cache"] {
            expectError(.targetExists) { try cache.backup(to: site.disk + "/" + name) }
        }
        #expect(try TestDirectory.content(site.disk + "/full/note") == [1, 2, 3])
        for name in ["cache/copy", "cache/log/copy", "cache/files/x/y"] {
            expectError(.foreignDirectory) { try cache.backup(to: site.disk + "/" + name) }
        }
        #expect(!TestDirectory.filesBelow(site.disk + "/cache").contains { $0.contains("x/") })
        for name in ["/", ".", site.disk + "/..", site.disk + "/full/note/below"] {
            expectError(.io) { try cache.backup(to: name) }
        }
        for name in [
            "a/b/c", "-dash", "new\nline", "\u{301}accent first", "ü\u{308}", " ", String(repeating: "n", count: 255),
        ] {
            let path = site.disk + "/" + name
            try cache.backup(to: path)
            #expect(try Cache(directory: path).count == cache.count, "\(name)")
        }
        expectError(.io) { try cache.backup(to: site.disk + "/" + String(repeating: "n", count: 256)) }
        #expect(try BackupSite.leftovers(site.disk).isEmpty)
        try cache.transact { expectError(.inTransaction) { try cache.backup(to: site.disk + "/never") } }
        #expect(try cache.check().isEmpty)
    }

    /// A disk that fills up on the way: nothing is left there, and with room it goes.
    @Test func fullDisks() throws {
        let site = try BackupSite("backups to full disks")
        let cache = try site.cache(at: site.disk + "/cache", items: 1500)
        var (tries, failures) = (0, 0)
        for size in stride(from: 64 << 10, through: 2 << 20, by: 100 << 10) {
            let mountPoint = site.memory.path + "/\(size)"
            try SystemFiles().makeDirectory(mountPoint, in: nil, mode: 0o700)
            if let reason = SystemState.mountMemory(mountPoint, bytes: size) {
                return print("skipped: mount: \(reason)")
            }
            defer { SystemState.unmount(mountPoint) }
            tries += 1
            expectError(.targetExists) { try cache.backup(to: mountPoint) }
            do {
                try cache.backup(to: mountPoint + "/copy")
                // To open it takes room for an index.
                if let copy = try? Cache(directory: mountPoint + "/copy") { #expect(try copy.count == cache.count) }
            } catch CacheError.Code.diskFull {
                failures += 1
                #expect(TestDirectory.filesBelow(mountPoint).isEmpty)
                #expect(try BackupSite.leftovers(mountPoint).isEmpty)
            }
        }
        print("full disks: \(failures) of \(tries)")
        #expect(failures > 1 && failures < tries)
        #expect(try cache.check().isEmpty)
    }

    /// Damage is told, and costs the copy no more than it cost the original.
    @Test func damage() throws {
        let site = try BackupSite("backups of damage")
        let path = site.disk + "/cache"
        let cache = try Cache(directory: path)
        for number in 0..<3000 { try cache.set(number, site.bytes(100)) }
        try cache.set("lost", site.bytes(40_000))
        try cache.set("changed", site.bytes(40_000))
        try cache.sync()
        let lost = try cache.entry("lost", as: [UInt8].self)?.path
        let changed = try cache.entry("changed", as: [UInt8].self)?.path
        TestDirectory.remove(try #require(lost))
        let segments = TestDirectory.filesBelow(path + "/log").sorted()
        let victim = path + "/log/" + segments[segments.count / 2]
        for (file, offset) in [(victim, 30_000), (try #require(changed), 7)] {
            let opened = try SystemFiles().open(file, in: nil, [.write])
            let byte = try SystemFiles().read(opened, count: 1, at: offset)
            try SystemFiles().write(opened, [byte[0] ^ 4], at: offset)
        }
        let readable = (0..<3000).filter { (try? cache.get($0, as: [UInt8].self)) != nil }
        #expect((2990..<3000).contains(readable.count))

        let backup = try cache.backup(to: site.disk + "/copy", shares: false)
        #expect(backup.losses.count == 3, "\(backup.losses)")
        // Seen when it is opened, as for the original: the log is read past it.
        let copy = try Cache(directory: site.disk + "/copy")
        #expect(try copy.recovery?.losses.count == 1)
        let copied = (0..<3000).filter { (try? copy.get($0, as: [UInt8].self)) != nil }
        #expect(copied == readable)
        // Of a file with two names nothing is read.
        let shared = try cache.backup(to: site.disk + "/shared")
        #expect(shared.losses.count == 2, "\(shared.losses)")
        #expect(try Cache(directory: site.disk + "/shared").check().contains { $0.kind == .damagedFile })
    }
}
