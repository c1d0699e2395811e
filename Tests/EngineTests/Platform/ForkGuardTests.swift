import Synchronization
import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct ForkGuardTests {
    /// Whether a lock that this process lets go of by closing is free while a child, forked meanwhile, lives on.
    private static func isFreeBesideChild(registered: Bool) throws -> Bool {
        let scratch = try ScratchDirectory()
        let directory = try scratch.open()
        var held: FileDescriptor? = try scratch.files.open("lock", in: directory, [.write, .create])
        if registered { ForkGuard.register(held!) }
        #expect(try scratch.files.lock(held!, .exclusive))
        let child = try TestFork { 1 }
        defer { child.finish() }
        #expect(child.told() == 1)
        let other = try scratch.files.open("lock", in: directory, [.write])
        #expect(try !scratch.files.lock(other, .exclusive), "the child's doing must not free the parent's lock")
        if registered { ForkGuard.unregister(held!) }
        held = nil
        return try scratch.files.lock(other, .exclusive)
    }

    @Test func childOfRegisteredDescriptorHoldsNothing() async {
        await #expect(processExitsWith: .success) {
            let isFree = try Self.isFreeBesideChild(registered: true)
            #expect(isFree)
        }
    }

    @Test func childOfUnknownDescriptorHoldsTheLock() async {
        await #expect(processExitsWith: .success) {
            let isFree = try Self.isFreeBesideChild(registered: false)
            #expect(!isFree)
        }
    }

    @Test func childSeesTheForkAndABlankDescriptor() async {
        await #expect(processExitsWith: .success) {
            let scratch = try ScratchDirectory()
            let file = try scratch.files.open("lock", in: scratch.open(), [.write, .create])
            ForkGuard.register(file)
            defer { ForkGuard.unregister(file) }
            let before = ForkGuard.forks.load(ordering: .relaxed)
            let inode = try scratch.files.status(file).inode
            let child = try TestFork {
                let counted = ForkGuard.forks.load(ordering: .relaxed) == before + 1
                let blank = (try? SystemCalls.status(file.number, ""))?.inode != inode
                return (counted ? 1 : 0) + (blank ? 2 : 0) + (ForkGuard.count == 0 ? 4 : 0)
            }
            defer { child.finish() }
            #expect(child.told() == 7)
            #expect(ForkGuard.forks.load(ordering: .relaxed) == before)
            #expect(try scratch.files.status(file).inode == inode)
        }
    }

    @Test func tableGrowsAndKeepsTheRightOnes() async {
        await #expect(processExitsWith: .success) {
            let scratch = try ScratchDirectory()
            let directory = try scratch.open()
            let files = try (0..<200).map { try scratch.files.open("\($0)", in: directory, [.write, .create]) }
            TestThreads.run(4) { thread in
                for round in 0..<20 {
                    for file in files[thread * 50..<thread * 50 + 50] { ForkGuard.register(file) }
                    if round < 19 { for file in files[thread * 50..<thread * 50 + 50] { ForkGuard.unregister(file) } }
                }
            }
            for file in files { #expect(try scratch.files.lock(file, .exclusive)) }
            let child = try TestFork { 1 }
            defer { child.finish() }
            #expect(child.told() == 1)
            for file in files { ForkGuard.unregister(file) }
            let others = try (0..<200).map { try scratch.files.open("\($0)", in: directory, [.write]) }
            for (file, other) in zip(files, others) {
                #expect(try !scratch.files.lock(other, .exclusive))
                // An unlock would free it for all who share it; only closing tells whether somebody still holds it.
                SystemCalls.blank(file.number)
                #expect(try scratch.files.lock(other, .exclusive))
            }
        }
    }
}
