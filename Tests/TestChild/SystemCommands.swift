import DiskCacheEngine
import TestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@_silgen_name("fork") func systemFork() -> Int32

/// `descriptors`: works with ever fewer descriptors left, then with enough again.
enum DescriptorCommand {
    static func run(_ arguments: Arguments) throws {
        let path = arguments.text("directory")
        var codes: Set<String> = []
        do {
            let client = try StoreClient(path)
            try client.set("before", [1, 2, 3])
            client.handle.close()
        }
        var usual = rlimit()
        getrlimit(descriptorLimit, &usual)
        for limit in 3..<40 {
            var lowered = usual
            lowered.rlim_cur = rlim_t(limit)
            setrlimit(descriptorLimit, &lowered)
            do throws(EngineError) {
                let client = try StoreClient(path)
                try client.set("number", [UInt8(limit)])
                try client.set("file", [UInt8](repeating: UInt8(limit), count: 6000))
                _ = try client.get("file")
                client.handle.close()
            } catch {
                codes.insert("\(error.code)")
                if error.path == nil || error.message.isEmpty { TestChild.say("incomplete: \(error)") }
            }
            setrlimit(descriptorLimit, &usual)
        }
        let client = try StoreClient(path)
        let before = try client.get("before")
        TestChild.say("before \(before == .bytes([1, 2, 3]) ? "kept" : "lost")")
        try client.set("after", [4])
        TestChild.say("codes \(codes.sorted())")
        TestChild.say("after \(try client.get("after") == .bytes([4]) ? "kept" : "lost")")
    }

    /// `cycles`: opens and closes a store many times; how many descriptors are left open by that.
    static func cycle(_ arguments: Arguments) throws {
        func count() throws -> Int {
            let files = SystemFiles()
            return try files.list(files.open("/proc/self/fd", in: nil, [.directory])).count
        }
        let client = try StoreClient(arguments.text("directory"))
        try client.set("key", [1])
        client.handle.close()
        let before = try count()
        for number in 0..<arguments.number("count") {
            if number % 2 == 0 {
                try client.set("key", [UInt8(truncatingIfNeeded: number)])
            } else {
                _ = try client.get("key")
            }
            if number % 10 == 0 { try client.set("file", [UInt8](repeating: 1, count: 6000)) }
            client.handle.close()
        }
        TestChild.say("\(try count() - before) more")
    }

    #if canImport(Glibc)
        private static let descriptorLimit = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        private static let descriptorLimit = RLIMIT_NOFILE
    #endif
}

/// `user`: opens a store as another user.
enum UserCommand {
    static func run(_ arguments: Arguments) throws {
        let user = uid_t(arguments.number("user"))
        guard setgid(gid_t(user)) == 0, setuid(user) == 0 else {
            TestChild.say("this user may not become another")
            return
        }
        try OpenCommand.run(arguments)
    }
}

/// Children by `fork` of processes that have a store open (P27).
enum ForkCommand {
    /// `fork`: parent and child write and read by the same handle, each for itself.
    static func use(_ arguments: Arguments) throws {
        let client = try StoreClient(arguments.text("directory"))
        try client.set("parent", [1])
        let child = systemFork()
        let name = child == 0 ? "child" : "parent"
        for number in 0..<200 {
            try client.set("\(name) \(number)", [UInt8(number)])
            try client.add("both", 1)
        }
        if try client.get("parent") != .bytes([1]) { TestChild.say("\(name) doesn't see what was there before") }
        if child == 0 {
            client.handle.close()
            exit(0)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        TestChild.say("child \(status)")
        for number in 0..<200 where try client.get("child \(number)") != .bytes([UInt8(number)]) {
            TestChild.say("lost child \(number)")
        }
        TestChild.say("both \(try client.get("both").map { "\($0)" } ?? "nothing")")
        client.handle.close()
    }

    /// `keptfork`: forks again and again in the middle of writes that follow each other closely; parent and children count.
    static func whileKept(_ arguments: Arguments) throws {
        let client = try StoreClient(arguments.text("directory"))
        for _ in 0..<10 {
            for _ in 0..<100 { try client.add("counter", 1) }
            let child = systemFork()
            if child < 0 { throw EngineError(.io, "fork failed") }
            do {
                for _ in 0..<(child == 0 ? 300 : 400) { try client.add("counter", 1) }
            } catch {
                if child == 0 { _exit(1) }
                throw error
            }
            if child == 0 { _exit(0) }
            var status: Int32 = 0
            waitpid(child, &status, 0)
            if status != 0 { throw EngineError(.io, "a child ended with status \(status)") }
        }
        guard case .integer(let sum) = try client.get("counter") else { return TestChild.say("no counter") }
        TestChild.say("\(sum)")
        client.handle.close()
    }

    /// `failedfork`: after openings that failed, a child of a fork still has all the files that it should have.
    static func afterFailures(_ arguments: Arguments) throws {
        var failures = 0
        for _ in 0..<20 {
            do throws(EngineError) { _ = try StoreClient(arguments.text("directory")) } catch { failures += 1 }
        }
        TestChild.say("\(failures) failures")
        // Files that take the numbers of those that the openings had.
        let opened = (0..<20).map { _ in open("/proc/self/exe", O_RDONLY) }
        var before = stat()
        fstat(opened[0], &before)
        let child = systemFork()
        if child == 0 {
            var changed: Int32 = 0
            for number in opened {
                var now = stat()
                fstat(number, &now)
                if now.st_ino != before.st_ino { changed += 1 }
            }
            _exit(changed)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        TestChild.say("\(status >> 8) changed")
    }

    /// `idlefork`: the child does nothing and outlives its parent, which ends in the middle of a transaction.
    static func idle(_ arguments: Arguments) throws {
        let client = try StoreClient(arguments.text("directory"))
        try client.set("before", [1])
        try client.handle.withStoreThrowing { store in
            try store.transact(timeout: StoreClient.timeout) {
                try client.set("unfinished", [1])
                if systemFork() == 0 {
                    TestChild.waitForParent()
                    _exit(0)
                }
                TestChild.say("forked")
                kill(getpid(), SIGKILL)
            }
        }
    }
}

extension TestChild {
    /// Whether standard input has ended.
    static func isReleased() -> Bool {
        var waiting = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) > 0
    }
}
