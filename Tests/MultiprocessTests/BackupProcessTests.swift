import DiskCache
import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// Backups of a cache that several processes write to, compact and clear; and backups that die on the way.
    @Suite(.serialized) struct BackupProcessTests {
        private struct Account: Codable {
            var balance: Int
            var version: Int
            var padding: [UInt8]
        }

        /// A directory on the disk, beside the one in memory.
        private final class Disk {
            let path = "/var/tmp/diskcache-backups-" + String(UInt64.random(in: .min ... .max), radix: 36)
            init() throws { try SystemFiles().makeDirectory(path, in: nil, mode: 0o700) }
            deinit { TestDirectory.remove(path) }
        }

        private static func accounts(_ cache: Cache) throws -> [String] {
            try (0..<12).map { number in
                guard let account = try cache.get("account \(number)", as: Account.self) else { return "none" }
                return "\(account.balance) \(account.version) \(account.padding.count) \(Set(account.padding))"
            }
        }

        /// Whether the accounts of a cache add up, as `Accounts` of the child program has them.
        private static func addsUp(_ cache: Cache) throws -> Bool {
            var sum = 0
            for number in 0..<12 {
                guard let account = try cache.get("account \(number)", as: Account.self) else {
                    sum += 1000
                    continue
                }
                sum += account.balance
                let padding = UInt8(truncatingIfNeeded: account.version)
                if account.padding.contains(where: { $0 != padding }) { return false }
            }
            return sum == 12 * 1000
        }

        private static func sealedFiles(_ path: String) throws -> [String: [UInt8]] {
            let names = TestDirectory.filesBelow(path).filter { $0.hasSuffix(".seg") || $0.hasSuffix(".val") }
            let newest = names.filter { $0.hasSuffix(".seg") }.max()
            return try Dictionary(
                uniqueKeysWithValues: names.filter { $0 != newest }.map {
                    ($0, try TestDirectory.content(path + "/" + $0))
                })
        }

        /// Four processes move money, another one compacts and clears: each backup is the cache as of one commit, and stays so whatever
        /// is written to the original, or to it.
        @Test func ofACacheInUse() throws {
            let scratch = try TestDirectory("backup")
            let disk = try Disk()
            let seed = ReplayableRandom.seed(for: "backups of a cache in use")
            var random = ReplayableRandom(seed: seed)
            let path = disk.path + "/store"
            var configuration = Cache.Configuration()
            configuration.evictionPolicy = EvictionPolicy.none
            configuration.sizeLimit = 1 << 20
            configuration.minFileSize = 300
            configuration.syncInterval = .milliseconds(20)
            let cache = try Cache(directory: path, configuration: configuration)
            func start(_ verb: String) throws -> ChildProcess {
                let child = try ChildProcess([verb, "directory=\(path)", "seed=\(random.next() & 0xFFFF_FFFF)"])
                #expect(child.line() == "ready")
                return child
            }
            let churn = try start("recycle")
            var writers = try (0..<4).map { _ in try start("transfer") }
            var positions: [UInt64] = []
            let rounds = environmentNumber("BACKUPS", default: 12)
            for round in 0..<rounds {
                let target = (round % 3 == 2 ? scratch.path : disk.path) + "/\(round)"
                let backup = try cache.backup(to: target, shares: round % 4 != 3)
                #expect(backup.losses.isEmpty, "seed \(seed): \(backup.losses)")
                #expect(backup.position >= positions.last ?? 0)
                positions.append(backup.position)
                if round % 3 == 2 { #expect(backup.sharedBytes == 0) }
                let before = try Self.sealedFiles(target)
                let copy = try Cache(directory: target)
                let accounts = try Self.accounts(copy)
                #expect(try Self.addsUp(copy), "seed \(seed), round \(round): \(backup), \(accounts)")
                var findings = try copy.check()
                #expect(findings.isEmpty, "seed \(seed), round \(round): \(findings)")
                for number in 0..<300 {
                    try copy.set("filler \(number % 10)", [UInt8](repeating: 1, count: number * 3))
                }
                try copy.sync()
                findings = try copy.check()
                #expect(findings.isEmpty, "seed \(seed), round \(round): \(findings)")
                #expect(try Self.addsUp(copy))
                // The original goes on all the time.
                let after = try Self.sealedFiles(target)
                for (name, bytes) in after { if let old = before[name] { #expect(bytes == old, "\(name)") } }
                try copy.close()
                TestDirectory.remove(target)
                // A writer that dies leaves what the next one settles: a backup shows none of it.
                if round % 6 == 5 {
                    let victim = Int.random(in: 0..<writers.count, using: &random)
                    writers[victim].kill()
                    #expect(writers[victim].finish().end == .signalled(9))
                    writers[victim] = try start("transfer")
                }
            }
            for child in writers + [churn] { child.release() }
            for writer in writers {
                #expect(Int(writer.line() ?? "") != nil)
                #expect(writer.finish().end == .exited(0))
            }
            let counts = churn.line() ?? ""
            #expect(churn.finish().end == .exited(0), "\(counts)")
            let words = counts.split(separator: " ").compactMap { Int($0) }
            #expect(words.count == 2 && words.allSatisfy { $0 > 0 }, "\(counts)")
            #expect(Set(positions).count > 2)
            print("backups in use: \(rounds); clears and compactions meanwhile: \(counts)")
            try cache.sync()
            #expect(try Self.addsUp(cache))
            let findings = try cache.check(fix: true)
            #expect(findings.allSatisfy { $0.kind == .unknownFile }, "\(findings)")
        }

        private static let points = FaultPoint.allCases.filter { $0.rawValue.hasPrefix("backup") }

        /// Killed at each point: nothing stands at the target, or all of it; what was begun is opened by nobody, and goes with the next one.
        @Test func killedAtEachPoint() throws {
            let disk = try Disk()
            let seed = ReplayableRandom.seed(for: "kills in backups")
            var random = ReplayableRandom(seed: seed)
            let path = disk.path + "/store"
            let cache = try Cache(directory: path)
            try cache.configure { $0.minFileSize = 300 }
            for number in 0..<3000 { try cache.set(number, [UInt8](repeating: 7, count: number % 350)) }
            var kills = 0
            for point in Self.points {
                let several = point == .backupSegmentPlaced || point == .backupFilePlaced
                for hit in several ? [1, 2, Int.random(in: 3...6, using: &random)] : [1] {
                    let target = disk.path + "/copy"
                    let child = try ChildProcess([
                        "backup", "directory=\(path)", "to=\(target)", "point=\(point.rawValue)", "hit=\(hit)",
                        "shares=\(random.oneIn(2) ? 1 : 0)",
                    ])
                    #expect(child.finish().end == .signalled(9), "\(point) \(hit)")
                    kills += 1
                    try examine(disk.path, count: 3000, isDone: point == .backupPlaced, seed, "\(point) hit \(hit)")
                    try cache.backup(to: target)
                    #expect(try Cache(directory: target).count == 3000)
                    #expect(try leftovers(disk.path).isEmpty, "\(point) hit \(hit)")
                    TestDirectory.remove(target)
                }
            }
            // At any instant.
            for _ in 0..<environmentNumber("BACKUP_KILLS", default: 40) {
                let child = try ChildProcess(["backup", "directory=\(path)", "to=\(disk.path)/copy"])
                #expect(child.line() == "ready")
                pass(microseconds: Int.random(in: 0..<60_000, using: &random))
                child.kill()
                _ = child.finish()
                kills += 1
                try examine(disk.path, count: 3000, isDone: nil, seed, "any instant")
                TestDirectory.remove(disk.path + "/copy")
            }
            try cache.backup(to: disk.path + "/copy")
            #expect(try leftovers(disk.path).isEmpty)
            #expect(try cache.check().isEmpty)
            print("kills in backups: \(kills)")
        }

        private func leftovers(_ parent: String) throws -> [String] {
            try SystemFiles().list(SystemFiles().open(parent, in: nil, [.directory])).filter {
                $0.hasPrefix(".diskcache-backup-")
            }
        }

        /// `isDone`: whether the target stands there; nil: either.
        private func examine(
            _ parent: String, count: Int, isDone: Bool?, _ seed: UInt64, _ context: String
        ) throws {
            let target = parent + "/copy"
            let stands = try SystemFiles().status(of: target, in: nil) != nil
            if let isDone { #expect(stands == isDone, "seed \(seed), \(context)") }
            if stands {
                let copy = try Cache(directory: target)
                #expect(try copy.count == count && copy.check().isEmpty, "seed \(seed), \(context)")
                try copy.close()
                TestDirectory.remove(target)
            }
            for name in try leftovers(parent) {
                let path = parent + "/" + name
                let names = try SystemFiles().list(SystemFiles().open(path, in: nil, [.directory]))
                // Between the making of the directory and of what is in it there is nothing to be taken for a cache.
                if names.isEmpty { continue }
                do {
                    let copy = try Cache(directory: path)
                    #expect(try copy.count == count && copy.check().isEmpty, "seed \(seed), \(context): \(names)")
                    try copy.close()
                    TestDirectory.remove(path)
                } catch CacheError.Code.foreignDirectory {
                    #expect(names.contains("log.part"))
                }
            }
        }

        /// Two at once beside each other: neither removes what the other one makes.
        @Test func severalAtOnce() throws {
            let disk = try Disk()
            let path = disk.path + "/store"
            let cache = try Cache(directory: path)
            for number in 0..<2000 { try cache.set(number, number) }
            for round in 0..<5 {
                let children = try (0..<4).map { number in
                    try ChildProcess(["backup", "directory=\(path)", "to=\(disk.path)/\(round) \(number / 2)"])
                }
                let ends = children.map { $0.finish() }
                // Of two that want one place, one gets it.
                #expect(ends.filter { $0.end == .exited(0) }.count == 2)
                for end in ends where end.end != .exited(0) {
                    #expect(String(decoding: end.output, as: UTF8.self).contains("targetExists"))
                }
                for number in 0..<2 { #expect(try Cache(directory: disk.path + "/\(round) \(number)").count == 2000) }
                #expect(try leftovers(disk.path).isEmpty)
            }
        }
    }
#endif
