import Testing

@testable import DiskCacheEngine

@Suite struct LockNameTests {
    @Test func namesAreSafeAndDiffer() {
        let names = ["", ".", "..", "a/b", "a%2fb", "A", "a", "a.gate", "ä", "x\u{0}y", "a b", "%", "~", "a_b-c9"]
        let bases = names.map { LockName(.lock, $0.utf8).base }
        #expect(Set(bases).count == names.count)
        for base in bases {
            #expect(base.hasPrefix("lock.") && base.dropFirst(5).allSatisfy { $0.isASCII && !"./".contains($0) })
            #expect(base == base.lowercased())
        }
        #expect(bases[3] == "lock.a%2fb")
        #expect(LockName(.semaphore, "s".utf8).slot(2) == "semaphore.s.2")
        #expect(LockName(.lock, "s".utf8).slot(0) == "lock.s")
    }

    @Test func longNamesAreHashedAsAWhole() {
        let long = String(repeating: "n", count: 300)
        let names = [long, long + "n", long + "m"].map { LockName(.flight, $0.utf8).base }
        #expect(Set(names).count == 3)
        #expect(names.allSatisfy { $0.utf8.count <= 7 + 160 })
        // The whole of a file name that is usual everywhere.
        #expect(LockName(.semaphore, String(repeating: "/", count: 1000).utf8).bound.utf8.count + 20 < 255)
    }
}
