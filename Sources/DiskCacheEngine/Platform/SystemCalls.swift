// What the system does with files and memory. One wrapper a call, named after the call. The C library is known in this folder alone.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Android)
    import Android
#elseif canImport(Darwin)
    import Darwin
#endif

#if os(Linux) || os(Android)
    /// The kernel's own entry, for calls that the C library's module doesn't import into Swift.
    @_silgen_name("syscall")
    func rawSyscall(
        _ number: Int, _ a: Int, _ b: Int, _ c: Int, _ d: Int, _ e: Int, _ f: Int
    ) -> Int

    enum SyscallNumber {
        #if arch(x86_64)
            static let fallocate = 285, fstatfs = 138, futex = 202, getrandom = 318, syncFileRange = 277, mincore = 27
        #elseif arch(arm64)
            static let fallocate = 47, fstatfs = 44, futex = 98, getrandom = 278, syncFileRange = 84, mincore = 232
        #else
            #error("system call numbers of this architecture are not known")
        #endif
    }
#endif

/// `errno` values that the engine tells apart.
package enum ErrorNumber {
    package static let exists = EEXIST
    package static let notFound = ENOENT
    package static let notDirectory = ENOTDIR
    package static let interrupted = EINTR
    package static let wouldBlock = EWOULDBLOCK
    package static let noSpace = ENOSPC
    package static let quota = EDQUOT
    package static let inputOutput = EIO
    package static let (tooManyOpenFiles, tooManyOpenFilesInSystem) = (EMFILE, ENFILE)
    package static let (nameTooLong, isDirectory, badDescriptor) = (ENAMETOOLONG, EISDIR, EBADF)
    package static let noMemory = ENOMEM
    package static let notPermitted = EPERM
    package static let accessDenied = EACCES
    package static let readOnlyFileSystem = EROFS
    package static let tooManyLinks = ELOOP
    package static let notSupported = EOPNOTSUPP
    package static let invalid = EINVAL
    package static let notEmpty = ENOTEMPTY
    package static let tooManyNames = EMLINK
    package static let noLocks = ENOLCK
    package static let fileTooLarge = EFBIG
}

/// What `stat` tells of a file.
package struct FileStatus: Sendable, Equatable {
    package enum Kind: Sendable { case regular, directory, link, other }
    package var device: UInt64
    package var inode: UInt64
    package var size: Int
    /// Bytes that the file takes on disk.
    package var allocated: Int
    package var links: Int
    package var owner: UInt32
    package var mode: UInt32
    package var kind: Kind
}

/// How a file is opened. O_CLOEXEC and O_NOFOLLOW always go with it.
package struct OpenOptions: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
    package static let write = OpenOptions(rawValue: 1)
    package static let create = OpenOptions(rawValue: 2)
    package static let exclusive = OpenOptions(rawValue: 4)
    package static let directory = OpenOptions(rawValue: 8)
    package static let followLinks = OpenOptions(rawValue: 16)
}

/// What `flock` is asked for.
package enum LockOperation: Sendable { case shared, exclusive, unlock }

enum SystemCalls {
    static func lastError(_ call: String, _ path: String) -> SystemError {
        SystemError(errno: errno, call: call, path: path)
    }

    // MARK: Descriptors

    /// open(2), relative to `directory` (openat) where one is given; never descriptor 0, 1 or 2 (P41).
    static func open(
        _ path: String, directory: Int32?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> Int32 {
        var flags = options.contains(.write) ? O_RDWR : O_RDONLY
        flags |= O_CLOEXEC
        if !options.contains(.followLinks) { flags |= O_NOFOLLOW }
        if options.contains(.create) { flags |= O_CREAT }
        if options.contains(.exclusive) { flags |= O_EXCL }
        if options.contains(.directory) { flags |= O_DIRECTORY }
        while true {
            let descriptor = openat(directory ?? AT_FDCWD, path, flags, mode_t(mode))
            if descriptor < 0 {
                if errno == EINTR { continue }
                throw lastError("open", path)
            }
            if descriptor > 2 { return descriptor }
            let moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            let error = lastError("fcntl", path)
            _ = systemClose(descriptor)
            if moved < 0 { throw error }
            return moved
        }
    }

    static func close(_ descriptor: Int32) { _ = systemClose(descriptor) }

    /// Makes `descriptor` another name of /dev/null: lets go of what it was without freeing its number.
    /// Safe after `fork`; used there alone.
    static func blank(_ descriptor: Int32) {
        let null = openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)
        if null < 0 {
            _ = systemClose(descriptor)
            return
        }
        _ = dup2(null, descriptor)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = systemClose(null)
    }

    /// fstat(2).
    static func status(_ descriptor: Int32, _ path: String) throws(SystemError) -> FileStatus {
        var buffer = stat()
        if fstat(descriptor, &buffer) != 0 { throw lastError("fstat", path) }
        return FileStatus(buffer)
    }

    /// fstatat(2) without following a link; nil if there is no such name.
    static func status(of path: String, directory: Int32?) throws(SystemError) -> FileStatus? {
        var buffer = stat()
        if fstatat(directory ?? AT_FDCWD, path, &buffer, AT_SYMLINK_NOFOLLOW) != 0 {
            if errno == ENOENT { return nil }
            throw lastError("fstatat", path)
        }
        return FileStatus(buffer)
    }

    /// pread(2) until `buffer` is full or the file ends; the count of bytes read.
    static func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, _ path: String
    ) throws(SystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw lastError("pread", path)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// read(2) from the descriptor's own place, until `buffer` is full or the file ends.
    static func readNext(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, _ path: String
    ) throws(SystemError) -> Int {
        while true {
            let count = systemRead(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw lastError("read", path) }
        }
    }

    /// pwrite(2), all of `buffer`.
    static func write(
        _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, at offset: Int, _ path: String
    ) throws(SystemError) {
        var done = 0
        while done < buffer.count {
            let count = pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw lastError("pwrite", path)
            }
            done += count
        }
    }

    /// ftruncate(2).
    static func truncate(_ descriptor: Int32, to size: Int, _ path: String) throws(SystemError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            if errno != EINTR { throw lastError("ftruncate", path) }
        }
    }

    /// fallocate(2), mode 0: blocks for the range, so that a store into a mapping of it can't meet a full disk.
    /// Not glibc's `posix_fallocate`, which fakes it where the file system can't (DESIGN 3).
    static func allocate(_ descriptor: Int32, offset: Int, count: Int, _ path: String) throws(SystemError) {
        #if os(Linux) || os(Android)
            while rawSyscall(SyscallNumber.fallocate, Int(descriptor), 0, offset, count, 0, 0) != 0 {
                if errno != EINTR { throw lastError("fallocate", path) }
            }
        #else
            var store = fstore_t(
                fst_flags: UInt32(F_ALLOCATEALL), fst_posmode: F_PEOFPOSMODE, fst_offset: 0,
                fst_length: off_t(count), fst_bytesalloc: 0)
            let size = try status(descriptor, path).size
            if offset + count > size {
                if fcntl(descriptor, F_PREALLOCATE, &store) != 0 { throw lastError("fcntl(F_PREALLOCATE)", path) }
                try truncate(descriptor, to: offset + count, path)
            }
        #endif
    }

    /// fdatasync(2); on Darwin F_FULLFSYNC, since fsync there leaves data in the drive's cache (P44).
    static func sync(_ descriptor: Int32, _ path: String) throws(SystemError) {
        #if canImport(Darwin)
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return }
            if errno != ENOTSUP { throw lastError("fcntl(F_FULLFSYNC)", path) }
            while fsync(descriptor) != 0 {
                if errno != EINTR { throw lastError("fsync", path) }
            }
        #else
            while fdatasync(descriptor) != 0 {
                if errno != EINTR { throw lastError("fdatasync", path) }
            }
        #endif
    }

    /// fsync(2) of a directory: makes its entries durable. On Darwin as for a file.
    static func syncDirectory(_ descriptor: Int32, _ path: String) throws(SystemError) {
        #if canImport(Darwin)
            try sync(descriptor, path)
        #else
            while fsync(descriptor) != 0 {
                if errno != EINTR { throw lastError("fsync", path) }
            }
        #endif
    }

    /// sync_file_range(2), of one byte, so that it waits for a page at most; it tells of errors of the whole file.
    static func askWriteback(_ descriptor: Int32, _ path: String) throws(SystemError) {
        #if os(Linux) || os(Android)
            let waitBefore = 1
            while rawSyscall(SyscallNumber.syncFileRange, Int(descriptor), 0, 1, waitBefore, 0, 0) != 0 {
                if errno != EINTR { throw lastError("sync_file_range", path) }
            }
        #endif
    }

    /// sync_file_range(2) of the whole file.
    static func beginWriteback(_ descriptor: Int32) {
        #if os(Linux) || os(Android)
            let write = 2
            _ = rawSyscall(SyscallNumber.syncFileRange, Int(descriptor), 0, 0, write, 0, 0)
        #endif
    }

    /// flock(2); false if it isn't to be had without waiting.
    static func lock(
        _ descriptor: Int32, _ operation: LockOperation, _ path: String
    ) throws(SystemError) -> Bool {
        let request: Int32
        switch operation {
        case .shared: request = LOCK_SH | LOCK_NB
        case .exclusive: request = LOCK_EX | LOCK_NB
        case .unlock: request = LOCK_UN
        }
        while flock(descriptor, request) != 0 {
            if errno == EWOULDBLOCK { return false }
            if errno != EINTR { throw lastError("flock", path) }
        }
        return true
    }

    /// posix_fadvise(POSIX_FADV_RANDOM): keeps the kernel from holding the file in large folios (DESIGN 3).
    static func adviseRandom(_ descriptor: Int32) {
        #if os(Linux) || os(Android)
            _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM)
        #endif
    }

    // MARK: Names

    static func makeDirectory(_ path: String, directory: Int32?, mode: UInt32) throws(SystemError) {
        if mkdirat(directory ?? AT_FDCWD, path, mode_t(mode)) != 0 { throw lastError("mkdir", path) }
    }

    static func rename(_ from: String, to: String, directory: Int32) throws(SystemError) {
        if renameat(directory, from, directory, to) != 0 { throw lastError("rename", from) }
    }

    static func link(_ from: String, to: String, directory: Int32) throws(SystemError) {
        try link(from, in: directory, to: to, in: directory)
    }

    static func link(_ from: String, in source: Int32, to: String, in directory: Int32) throws(SystemError) {
        if linkat(source, from, directory, to, 0) != 0 { throw lastError("link", from) }
    }

    /// FICLONE, or fclonefileat(2): a new file, mode 0600, with the blocks of an open one.
    static func clone(_ descriptor: Int32, to: String, in directory: Int32) throws(SystemError) {
        #if canImport(Darwin)
            if fclonefileat(descriptor, directory, to, 0) != 0 { throw lastError("fclonefileat", to) }
        #else
            let made = try open(to, directory: directory, [.write, .create, .exclusive], mode: 0o600)
            defer { _ = systemClose(made) }
            if ioctl(made, 0x4004_9409, descriptor) == 0 { return }
            let error = lastError("ioctl(FICLONE)", to)
            _ = unlinkat(directory, to, 0)
            throw error
        #endif
    }

    static func unlink(_ path: String, directory: Int32?, isDirectory: Bool) throws(SystemError) {
        if unlinkat(directory ?? AT_FDCWD, path, isDirectory ? Int32(AT_REMOVEDIR) : 0) != 0 {
            throw lastError("unlink", path)
        }
    }

    /// The names in a directory, without `.` and `..`, in no order.
    static func list(_ descriptor: Int32, _ path: String) throws(SystemError) -> [String] {
        let own = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if own < 0 { throw lastError("open", path) }
        guard let stream = fdopendir(own) else {
            let error = lastError("fdopendir", path)
            _ = systemClose(own)
            throw error
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw lastError("readdir", path) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// An absolute path that names the same directory whatever the working directory becomes.
    static func currentDirectory() throws(SystemError) -> String {
        guard let text = getcwd(nil, 0) else { throw lastError("getcwd", ".") }
        defer { free(text) }
        return String(cString: text)
    }

    static func environment(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        return String(cString: text)
    }

    static func effectiveUser() -> UInt32 { geteuid() }

    // MARK: File systems

    /// The type of the file system under a descriptor, as fstatfs(2) numbers it on Linux, with its free bytes.
    static func fileSystem(_ descriptor: Int32, _ path: String) throws(SystemError) -> (
        type: UInt64, free: Int, name: String
    ) {
        #if os(Linux) || os(Android)
            var buffer = (
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            )
            let failed = withUnsafeMutableBytes(of: &buffer) {
                rawSyscall(SyscallNumber.fstatfs, Int(descriptor), Int(bitPattern: $0.baseAddress), 0, 0, 0, 0) != 0
            }
            if failed { throw lastError("fstatfs", path) }
            // struct statfs on 64-bit Linux: f_type, f_bsize, f_blocks, f_bfree, f_bavail, …, one word each.
            let free = buffer.4.multipliedReportingOverflow(by: buffer.1)
            return (UInt64(truncatingIfNeeded: buffer.0), free.overflow ? Int.max : free.partialValue, "")
        #else
            var buffer = statfs()
            if fstatfs(descriptor, &buffer) != 0 { throw lastError("fstatfs", path) }
            let name = withUnsafePointer(to: &buffer.f_fstypename) {
                $0.withMemoryRebound(to: CChar.self, capacity: 16) { String(cString: $0) }
            }
            return (0, Int(clamping: buffer.f_bavail) * Int(buffer.f_bsize), name)
        #endif
    }

    /// FS_IOC_GETFLAGS, the inode's attribute bits; nil where the file system doesn't tell.
    static func inodeFlags(_ descriptor: Int32) -> UInt32? {
        #if os(Linux) || os(Android)
            var flags: Int = 0
            return ioctl(descriptor, 0x8008_6601, &flags) == 0 ? UInt32(truncatingIfNeeded: flags) : nil
        #else
            return nil
        #endif
    }

    /// FS_IOC_SETFLAGS with FS_NOCOW_FL added; harmless where it isn't understood.
    static func disableCopyOnWrite(_ descriptor: Int32) {
        #if os(Linux) || os(Android)
            guard let flags = inodeFlags(descriptor) else { return }
            var wanted = Int(flags | 0x0080_0000)
            _ = ioctl(descriptor, 0x4008_6602, &wanted)
        #endif
    }

    // MARK: Memory

    /// mmap(2) of a file, shared; at `address` (MAP_FIXED) where one is given.
    static func map(
        _ descriptor: Int32, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?,
        _ path: String
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        let flags = MAP_SHARED | (address == nil ? 0 : MAP_FIXED)
        let base = mmap(
            address, count, writable ? PROT_READ | PROT_WRITE : PROT_READ, flags, descriptor, off_t(offset))
        guard let base, base != MAP_FAILED else { throw lastError("mmap", path) }
        #if os(Linux) || os(Android)
            _ = madvise(base, count, Int32(MADV_RANDOM))
        #endif
        return base
    }

    /// Anonymous memory, zero and not reserved; writable memory is private. At `address` (MAP_FIXED) where one is given.
    static func mapZeros(
        count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        #if os(Linux) || os(Android)
            let anonymous = MAP_PRIVATE | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE)
        #else
            let anonymous = MAP_PRIVATE | MAP_ANON | MAP_NORESERVE
        #endif
        let base = mmap(
            address, count, writable ? PROT_READ | PROT_WRITE : PROT_READ,
            anonymous | (address == nil ? 0 : MAP_FIXED), -1, 0)
        guard let base, base != MAP_FAILED else { throw lastError("mmap", "anonymous memory") }
        return base
    }

    static func unmap(_ base: UnsafeMutableRawPointer, count: Int) { _ = munmap(base, count) }

    /// MADV_POPULATE_WRITE: makes the pages of a writable mapping present, so that stores don't fault. False: they would, for want of
    /// blocks.
    @discardableResult
    static func populate(_ base: UnsafeMutableRawPointer, count: Int) -> Bool {
        #if os(Linux) || os(Android)
            if madvise(base, count, 23) != 0 { return errno != EFAULT }
        #endif
        return true
    }

    /// msync(MS_SYNC); needed on Darwin alone, where F_FULLFSYNC doesn't write mapped pages.
    static func syncMapping(_ base: UnsafeMutableRawPointer, count: Int, _ path: String) throws(SystemError) {
        #if canImport(Darwin)
            if msync(base, count, MS_SYNC) != 0 { throw lastError("msync", path) }
        #endif
    }

    /// Bytes of a page of memory.
    static func pageSize() -> Int { max(4096, sysconf(Int32(_SC_PAGESIZE))) }

    /// mincore(2): whether the page at an address is in memory. False where the system won't tell.
    static func isInMemory(_ page: UnsafeMutableRawPointer, pageSize: Int) -> Bool {
        #if os(Linux) || os(Android)
            var state: UInt8 = 0
            let result = withUnsafeMutablePointer(to: &state) {
                rawSyscall(SyscallNumber.mincore, Int(bitPattern: page), pageSize, Int(bitPattern: $0), 0, 0, 0)
            }
        #else
            var state: CChar = 0
            let result = mincore(page, pageSize, &state)
        #endif
        return result == 0 && state & 1 != 0
    }
}

// Inside the enum above, `close` and `read` name its own functions.
func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}

extension FileStatus {
    fileprivate init(_ buffer: stat) {
        let type = UInt32(buffer.st_mode) & UInt32(S_IFMT)
        let kind: Kind
        switch type {
        case UInt32(S_IFREG): kind = .regular
        case UInt32(S_IFDIR): kind = .directory
        case UInt32(S_IFLNK): kind = .link
        default: kind = .other
        }
        self.init(
            device: UInt64(truncatingIfNeeded: buffer.st_dev), inode: UInt64(buffer.st_ino),
            size: Int(buffer.st_size), allocated: Int(buffer.st_blocks) * 512, links: Int(buffer.st_nlink),
            owner: UInt32(buffer.st_uid), mode: UInt32(buffer.st_mode) & 0o7777, kind: kind)
    }
}
