#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What tests do to directories and processes that the engine never does.
package enum SystemState {
    package static func makeLink(_ path: String, to target: String) { precondition(symlink(target, path) == 0) }

    package static func change(_ path: String, mode: UInt32) { precondition(chmod(path, mode_t(mode)) == 0) }

    /// Gives a path to another user. False: this user may not.
    package static func change(_ path: String, owner: UInt32) -> Bool { chown(path, owner, owner) == 0 }

    package static var isSuperuser: Bool { geteuid() == 0 }

    /// Mounts a file system in memory with so many bytes; an explanation if that may not be.
    package static func mountMemory(_ path: String, bytes: Int) -> String? {
        #if os(Linux)
            if mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 { return nil }
            return String(cString: strerror(errno))
        #else
            return "there is no tmpfs"
        #endif
    }

    package static func unmount(_ path: String) {
        #if os(Linux)
            _ = umount2(path, 2)
        #endif
    }
}
