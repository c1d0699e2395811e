#if FAILPOINTS
    import Synchronization
    import TestSupport

    @testable import DiskCacheEngine

    /// One directory with a store, and one open store for each actor, as if each were a process.
    final class StepWorld {
        let path: String
        let scratch: ScratchDirectory
        let locks = StepLocks()
        unowned let machine_: StepMachine
        var machine: StepMachine? { isReady ? machine_ : nil }
        private var isReady = false
        /// The one that makes the store, and settles at the end.
        private(set) var owner: Store!
        private(set) var stores: [Store] = []
        /// Its numbers come in the same order each time.
        private final class Numbers: @unchecked Sendable { var random = ReplayableRandom(seed: StepKeys.seed) }
        private let numbers = Numbers()

        /// A file that actors store to, as the harness sees it.
        private final class Shadow {
            let file: FileDescriptor
            let base: UnsafeMutableRawPointer
            let inode: UInt64
            let place: Int
            static let room = 4 << 20
            /// As after the setup, and as when an actor died.
            private var copies: [UnsafeMutableRawBufferPointer?] = [nil, nil]

            enum Moment: Int { case setup, death }

            init(file: FileDescriptor, inode: UInt64, place: Int) throws(SystemError) {
                self.file = file
                self.inode = inode
                self.place = place
                base = try SystemFiles().map(file, offset: 0, count: Self.room, writable: true, at: nil)
            }

            deinit {
                SystemFiles().unmap(base, count: Self.room, leavingZeros: false)
                for copy in copies { copy?.deallocate() }
            }

            func keep(_ moment: Moment) {
                let size = min((try? SystemFiles().status(file).size) ?? 0, Self.room)
                if copies[moment.rawValue]?.count != size {
                    copies[moment.rawValue]?.deallocate()
                    copies[moment.rawValue] = .allocate(byteCount: size, alignment: 64)
                }
                if size > 0 { copies[moment.rawValue]!.baseAddress!.copyMemory(from: base, byteCount: size) }
            }

            func takeBack(to moment: Moment) {
                guard let copy = copies[moment.rawValue], copy.count > 0 else { return }
                base.copyMemory(from: copy.baseAddress!, byteCount: copy.count)
            }
        }
        private var shadows: [Shadow] = []
        private var indexes = 0

        init(machine: StepMachine, setup: (Store) throws -> Void) throws {
            machine_ = machine
            let count = machine.actors.count
            scratch = try ScratchDirectory(inMemory: true)
            path = scratch.path + "/store"
            owner = try open(-1)
            precondition(owner.identity.storeID == StepKeys.storeID, "StepKeys is about another store")
            try setup(owner)
            // Whoever is next settles, the owner of the setup too.
            owner.block.owner.store(0)
            for actor in 0..<count { stores.append(try open(actor)) }
            for shadow in shadows { shadow.keep(.setup) }
            isReady = true
        }

        deinit {
            for store in stores + [owner].compactMap({ $0 }) {
                ForkGuard.unregister(store.openFile)
                ForkGuard.unregister(store.directory)
            }
        }

        private func open(_ actor: Int, boot: String = "step") throws -> Store {
            var environment = Environment(files: StepFiles(world: self, actor: actor))
            environment.wallClockOverride = { 1_700_000_000_000_000 }
            environment.bootIdentity = { boot }
            environment.processID = { UInt32(1000 + actor) }
            environment.random = { [numbers] in numbers.random.next() }
            var options = StoreOptions()
            // The thread that lets go of a kept lock isn't one of the machine's.
            options.keepsLock = false
            options.windowSize = LogWindow.smallest
            let found = try StoreDirectory.open(path, files: environment.files, anyFileSystem: true)
            let store = try Store.open(
                path, directory: found.directory, status: found.status, fileSystem: found.fileSystem,
                options: options, environment: environment)
            // The maintenance thread is told of nothing.
            store.isDirty.store(2, ordering: .relaxed)
            return store
        }

        /// Closes everything, and opens the store as after a reboot: all views are made again from the log.
        func reopenRebuilt() throws -> Store {
            isReady = false
            locks.clear()
            let store = try open(-1, boot: "another")
            stores.append(store)
            return store
        }

        // MARK: Places

        /// A file was mapped by an actor.
        func mapped(_ file: FileDescriptor, at base: UnsafeMutableRawPointer, count: Int, by actor: Int) {
            guard let inode = try? SystemFiles().status(file).inode else { return }
            let name = file.path.split(separator: "/").last ?? ""
            let shadow: Shadow
            if let known = shadows.first(where: { $0.inode == inode }) {
                shadow = known
            } else {
                let place: Int
                if name.hasPrefix("meta") {
                    place = 0
                } else if name.hasPrefix("index.") {
                    place = 1024 + indexes % 2 * 60_000
                    indexes += 1
                } else {
                    place = StepMachine.recordPlaces
                }
                guard let made = try? Shadow(file: file, inode: inode, place: place) else { return }
                shadows.append(made)
                shadow = made
            }
            let low = UInt(bitPattern: base)
            machine_.map(StepMachine.Range(low: low, high: low + UInt(count), place: shadow.place), by: actor)
        }

        /// A segment goes: what says so must be durable by then.
        func unlinksSegment(_ machine: StepMachine) {
            machine.isLooking = true
            defer { machine.isLooking = false }
            let synced = owner.block.synced.relaxed()
            if synced < durableHead { machine.fail("a segment goes, and the log is durable up to \(synced) only") }
        }
        /// Where the record ends that moved the head last.
        var durableHead: Position = 0

        // MARK: Taking back

        /// As after the setup. Nothing that actors keep to themselves counts: each settles when it takes the lock.
        func rewind() {
            for shadow in shadows { shadow.takeBack(to: .setup) }
            locks.freeExclusive()
        }

        func actorDied(_ actor: Int) {
            for shadow in shadows { shadow.keep(.death) }
            locks.release(actor: actor)
            machine_.unblock()
        }

        func actorBuried() {
            for shadow in shadows { shadow.takeBack(to: .death) }
        }
    }
#endif
