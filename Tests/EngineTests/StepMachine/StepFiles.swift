#if FAILPOINTS
    @testable import DiskCacheEngine

    /// The flocks of one world, of open file descriptions: simulated, so that a killed actor's are free and a waiter sleeps until
    /// somebody lets go.
    final class StepLocks: @unchecked Sendable {
        private struct Holder {
            let description: ObjectIdentifier
            let actor: Int
        }
        private struct State {
            var exclusive: Holder?
            var shared: [Holder] = []
        }
        private var states: [String: State] = [:]

        private static func name(_ file: FileDescriptor) -> String {
            if file.path.hasSuffix("/lock") { return "lock" }
            return file.path
        }

        func lock(_ file: FileDescriptor, _ operation: LockOperation, actor: Int) -> Bool {
            let name = Self.name(file)
            let me = ObjectIdentifier(file)
            var state = states[name] ?? State()
            defer { states[name] = state }
            switch operation {
            case .unlock:
                if state.exclusive?.description == me { state.exclusive = nil }
                state.shared.removeAll { $0.description == me }
                return true
            case .exclusive:
                if let held = state.exclusive, held.description != me { return false }
                if state.shared.contains(where: { $0.description != me }) { return false }
                state.shared.removeAll { $0.description == me }
                state.exclusive = Holder(description: me, actor: actor)
                return true
            case .shared:
                if let held = state.exclusive, held.description != me { return false }
                state.exclusive = nil
                state.shared.append(Holder(description: me, actor: actor))
                return true
            }
        }

        /// What the kernel does for a dead process.
        func release(actor: Int) {
            for name in states.keys {
                if states[name]?.exclusive?.actor == actor { states[name]?.exclusive = nil }
                states[name]?.shared.removeAll { $0.actor == actor }
            }
        }

        /// The next run's actors live again, and have the store open.
        func freeExclusive() {
            for name in states.keys { states[name]?.exclusive = nil }
        }

        /// Nothing is locked any more.
        func clear() { states = [:] }
    }

    /// The files as one actor sees them. Its locks are the world's; what changes the file system is a step of its own; nothing is
    /// synced; a dead actor changes nothing.
    final class StepFiles: FileSystem, @unchecked Sendable {
        private let real = SystemFiles()
        private unowned let world: StepWorld
        /// -1: the harness.
        private let actor: Int

        init(world: StepWorld, actor: Int) {
            self.world = world
            self.actor = actor
        }

        private var machine: StepMachine? {
            guard actor >= 0, let machine = world.machine, machine.isOnActor, !machine.isLooking else { return nil }
            return machine
        }

        /// Before something that others can see: a step, and an error for who is dead.
        private func change(_ call: String, _ path: String) throws(SystemError) {
            guard let machine else { return }
            if !machine.isDead(actor) { machine.effect(call) }
            if machine.isDead(actor) { throw SystemError(errno: ErrorNumber.inputOutput, call: call, path: path) }
        }

        func open(
            _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
        ) throws(SystemError) -> FileDescriptor {
            if options.contains(.create) { try change("create", path) }
            return try real.open(path, in: directory, options, mode: mode)
        }

        func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus { try real.status(file) }

        func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
            try real.status(of: path, in: directory)
        }

        func read(
            _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
        ) throws(SystemError) -> Int { try real.read(file, into: buffer, at: offset) }

        func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
            try change("write", file.path)
            try real.write(file, buffer, at: offset)
        }

        func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) {
            try change("truncate", file.path)
            try real.truncate(file, to: size)
        }

        func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
            // No step: more blocks change nothing for anybody, and a store that was rewound has them already.
            if let machine, machine.isDead(actor) {
                throw SystemError(errno: ErrorNumber.inputOutput, call: "allocate", path: file.path)
            }
            try real.allocate(file, offset: offset, count: count)
        }

        func sync(_ file: FileDescriptor) throws(SystemError) {}
        func beginWriteback(_ file: FileDescriptor) {}

        func syncDirectory(_ directory: FileDescriptor) throws(SystemError) {}

        func askWriteback(_ file: FileDescriptor) throws(SystemError) {}

        func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
            guard let machine else { return world.locks.lock(file, operation, actor: actor) }
            if operation == .unlock {
                if machine.isDead(actor) { return true }
                machine.effect("unlock")
                if machine.isDead(actor) { return true }
                machine.unblock()
                return world.locks.lock(file, operation, actor: actor)
            }
            try change("lock", file.path)
            if world.locks.lock(file, operation, actor: actor) { return true }
            // Asked for without waiting.
            if file.path.hasSuffix("/snapshot") { return false }
            if Mutant.planted == .shared { return false }
            machine.block()
            return false
        }

        func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
            try change("mkdir", path)
            try real.makeDirectory(path, in: directory, mode: mode)
        }

        func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
            try change("rename", from)
            try real.rename(from, to: to, in: directory)
        }

        func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
            try change("link", from)
            try real.link(from, to: to, in: directory)
        }

        func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
            try change("unlink", path)
            if path.hasSuffix(".seg"), let machine { world.unlinksSegment(machine) }
            try real.unlink(path, in: directory, isDirectory: isDirectory)
        }

        func list(_ directory: FileDescriptor) throws(SystemError) -> [String] { try real.list(directory) }

        func map(
            _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
        ) throws(SystemError) -> UnsafeMutableRawPointer {
            let base = try real.map(file, offset: offset, count: count, writable: writable, at: address)
            world.mapped(file, at: base, count: count, by: actor)
            return base
        }

        func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
            real.unmap(base, count: count, leavingZeros: leavingZeros)
        }

        func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
            // As on the file systems where records are stored through the mapping, which is what is tested here.
            var status = try real.fileSystem(under: file)
            status.kind = .mappable
            return status
        }

        func disableCopyOnWrite(_ file: FileDescriptor) {}
    }
#endif
