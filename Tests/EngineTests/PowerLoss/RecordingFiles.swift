import Synchronization

@testable import DiskCacheEngine

/// The system's files below one directory, with a trace of everything that changes them.
///
/// Stores into mappings pass no call, so a shadow of every file that is mapped writable is kept and compared at each recorded
/// call and, through `FaultPoint.handler`, between any two effects of the engine; what differs goes into the trace, page by page.
final class RecordingFiles: FileSystem {
    private struct State {
        var trace = Trace()
        /// What is there now.
        var entries: [Int: [String: Int]] = [0: [:]]
        var inodes: [UInt64: Int] = [:]
        var shadows: [Int: Shadow] = [:]
        /// Files that are mapped writable, kept open for comparing.
        var mapped: [Int: FileDescriptor] = [:]
    }

    private struct Shadow {
        var size = 0
        var pages: [[UInt8]] = []
    }

    let root: String
    private let real = SystemFiles()
    private let state = Mutex(State())
    /// Called when a file's sync has begun and nothing of it is done yet: for writing behind its back.
    nonisolated(unsafe) var duringSync: (@Sendable () -> Void)?

    private static let zeros = [UInt8](repeating: 0, count: Trace.pageSize)

    /// Whether device and inode follow from names, as in the images that are made of the trace.
    private let isBound: Bool

    /// Records below `root`; what lies there already counts as durable.
    init(root: String, isBound: Bool = false) throws {
        self.root = root
        self.isBound = isBound
        let directory = try real.open(root, in: nil, [.directory])
        var state = State()
        state.inodes[try real.status(directory).inode] = 0
        try Self.load(directory, 0, &state)
        state.trace.base = state.trace.events
        state.trace.events = []
        let loaded = state
        self.state.withLock { $0 = loaded }
    }

    private static func load(_ directory: FileDescriptor, _ number: Int, _ state: inout State) throws {
        let real = SystemFiles()
        for name in try real.list(directory).sorted() {
            guard let status = try real.status(of: name, in: directory) else { continue }
            let node = state.trace.nodes
            state.trace.nodes += 1
            state.inodes[status.inode] = node
            state.entries[number, default: [:]][name] = node
            state.trace.events.append(.entry(.init(directory: number, name: name), node: node, movedTo: nil))
            if status.kind == .directory {
                state.trace.directories.insert(node)
                try load(real.open(name, in: directory, [.directory]), node, &state)
            } else {
                compare(try real.open(name, in: directory, []), node, &state)
            }
        }
    }

    /// The trace so far.
    var trace: Trace { state.withLock { $0.trace } }

    /// How many events there are, after a look at the mappings.
    func mark() -> Int {
        state.withLock { state in
            Self.observe(&state)
            return state.trace.events.count
        }
    }

    /// Looks at what was stored into mappings.
    func observe() { state.withLock { Self.observe(&$0) } }

    // MARK: Shadows

    private static func observe(_ state: inout State) {
        for node in state.mapped.keys.sorted() {
            if let file = state.mapped[node] { compare(file, node, &state) }
        }
    }

    /// Puts into the trace in what a file differs from its shadow: its length first, then its pages in order.
    private static func compare(_ file: FileDescriptor, _ node: Int, _ state: inout State) {
        let real = SystemFiles()
        guard let size = try? real.status(file).size else { return }
        var shadow = state.shadows.removeValue(forKey: node) ?? Shadow()
        defer { state.shadows[node] = shadow }
        if size != shadow.size {
            shadow.size = size
            state.trace.events.append(.size(node, size))
        }
        let count = (size + Trace.pageSize - 1) / Trace.pageSize
        if shadow.pages.count > count { shadow.pages.removeLast(shadow.pages.count - count) }
        while shadow.pages.count < count { shadow.pages.append(zeros) }
        guard count > 0 else { return }
        let whole = UnsafeMutableRawBufferPointer.allocate(byteCount: count * Trace.pageSize, alignment: 16)
        defer { whole.deallocate() }
        whole.initializeMemory(as: UInt8.self, repeating: 0)
        _ = try? real.read(file, into: whole, at: 0)
        for number in 0..<count {
            let now = UnsafeRawBufferPointer(rebasing: whole[number * Trace.pageSize..<(number + 1) * Trace.pageSize])
            let isSame = shadow.pages[number].withUnsafeBytes { TestMemory.areEqual($0, now) }
            if isSame { continue }
            let bytes = [UInt8](now)
            shadow.pages[number] = bytes
            state.trace.events.append(.page(node, number: number, bytes: bytes))
        }
    }

    // MARK: Names

    /// The place that a path names, and the node there; nil: it lies outside, or in a directory that isn't there.
    private func place(_ path: String, _ directory: FileDescriptor?, _ state: State) -> (Trace.Name, node: Int?)? {
        var parts = path.split(separator: "/")[...]
        var number = 0
        if let directory {
            guard let inode = try? real.status(directory).inode, let found = state.inodes[inode] else { return nil }
            number = found
        } else {
            let above = root.split(separator: "/")
            guard path.hasPrefix("/"), parts.count > above.count, parts.starts(with: above) else { return nil }
            parts = parts.dropFirst(above.count)
        }
        while parts.count > 1, let part = parts.popFirst() {
            guard let next = state.entries[number]?[String(part)] else { return nil }
            number = next
        }
        guard let last = parts.first else { return nil }
        let name = Trace.Name(directory: number, name: String(last))
        return (name, state.entries[number]?[name.name])
    }

    private func node(_ file: FileDescriptor, _ state: State) -> Int? {
        guard let inode = try? real.status(file).inode else { return nil }
        return state.inodes[inode]
    }

    private static func add(_ name: Trace.Name, isDirectory: Bool, inode: UInt64, _ state: inout State) -> Int {
        let node = state.trace.nodes
        state.trace.nodes += 1
        if isDirectory {
            state.trace.directories.insert(node)
            state.entries[node] = [:]
        }
        state.inodes[inode] = node
        state.shadows[node] = nil
        enter(name, node, nil, &state)
        return node
    }

    private static func enter(_ name: Trace.Name, _ node: Int?, _ movedTo: Trace.Name?, _ state: inout State) {
        let before = state.entries[name.directory]?[name.name]
        state.entries[name.directory, default: [:]][name.name] = node
        state.trace.events.append(.entry(name, node: node, movedTo: movedTo))
        // A file without a name is as good as gone: its pages needn't be looked at any more.
        if let before, movedTo == nil, before != node { state.mapped[before] = nil }
    }

    // MARK: Recorded calls

    func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        guard options.contains(.create) else { return try real.open(path, in: directory, options, mode: mode) }
        return try recording { state throws(SystemError) in
            let place = self.place(path, directory, state)
            let file = try real.open(path, in: directory, options, mode: mode)
            if let place, place.node == nil {
                _ = Self.add(place.0, isDirectory: false, inode: try real.status(file).inode, &state)
            }
            return file
        }
    }

    func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.write(file, buffer, at: offset)
            if let node = node(file, state) { Self.compare(file, node, &state) }
        }
    }

    func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.truncate(file, to: size)
            if let node = node(file, state) { Self.compare(file, node, &state) }
        }
    }

    func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.allocate(file, offset: offset, count: count)
            if let node = node(file, state) { Self.compare(file, node, &state) }
        }
    }

    func sync(_ file: FileDescriptor) throws(SystemError) { try sync(file, isDirectory: false) }

    func askWriteback(_ file: FileDescriptor) throws(SystemError) { try real.askWriteback(file) }

    func beginWriteback(_ file: FileDescriptor) { real.beginWriteback(file) }

    func syncDirectory(_ directory: FileDescriptor) throws(SystemError) { try sync(directory, isDirectory: true) }

    private func sync(_ file: FileDescriptor, isDirectory: Bool) throws(SystemError) {
        let begun = mark()
        if !isDirectory { duringSync?() }
        try recording { state throws(SystemError) in
            if isDirectory { try real.syncDirectory(file) } else { try real.sync(file) }
            if let node = node(file, state) { state.trace.events.append(.sync(node, begun: begun)) }
        }
    }

    func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.makeDirectory(path, in: directory, mode: mode)
            guard let place = place(path, directory, state), let status = try real.status(of: path, in: directory)
            else {
                return
            }
            _ = Self.add(place.0, isDirectory: true, inode: status.inode, &state)
        }
    }

    func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.rename(from, to: to, in: directory)
            guard let old = place(from, directory, state), let node = old.node, let new = place(to, directory, state)
            else {
                return
            }
            Self.enter(new.0, node, nil, &state)
            Self.enter(old.0, nil, new.0, &state)
        }
    }

    func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.link(from, to: to, in: directory)
            guard let old = place(from, directory, state), let node = old.node, let new = place(to, directory, state)
            else {
                return
            }
            Self.enter(new.0, node, nil, &state)
        }
    }

    func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
        try recording { state throws(SystemError) in
            try real.unlink(path, in: directory, isDirectory: isDirectory)
            if let place = place(path, directory, state) { Self.enter(place.0, nil, nil, &state) }
        }
    }

    func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        let base = try real.map(file, offset: offset, count: count, writable: writable, at: address)
        state.withLock { state in
            Self.observe(&state)
            if let node = node(file, state) {
                Self.compare(file, node, &state)
                state.mapped[node] = writable ? file : nil
            }
        }
        return base
    }

    /// Looks at the mappings, then does `body`; nobody else's call comes between.
    private func recording<Result: Sendable>(
        _ body: (inout State) throws(SystemError) -> Result
    ) throws(SystemError) -> Result {
        try state.withLock { state throws(SystemError) in
            Self.observe(&state)
            return try body(&state)
        }
    }

    // MARK: Calls that change nothing

    func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        told(try real.status(file), file.path)
    }

    func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try real.status(of: path, in: directory).map { told($0, path) }
    }

    private func told(_ status: FileStatus, _ path: String) -> FileStatus {
        isBound ? ImageFiles.bound(status, path) : status
    }

    func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int {
        try real.read(file, into: buffer, at: offset)
    }

    func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
        try real.lock(file, operation)
    }

    func list(_ directory: FileDescriptor) throws(SystemError) -> [String] { try real.list(directory) }

    func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
        observe()
        real.unmap(base, count: count, leavingZeros: leavingZeros)
    }

    func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
        try real.fileSystem(under: file)
    }

    func disableCopyOnWrite(_ file: FileDescriptor) { real.disableCopyOnWrite(file) }
}
