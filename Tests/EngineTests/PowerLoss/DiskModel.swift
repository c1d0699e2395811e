/// What may be on the disk at one instant of a trace: for every page, length and name the version that is surely there, and the
/// later ones that may have been written back, or not.
struct DiskModel {
    /// A value with its history since it was last made durable.
    struct Versions<Value> {
        var durable: Value
        var later: [(at: Int, value: Value)] = []

        var newest: Value { later.last?.value ?? durable }

        /// The version of a number of steps: 0 is the durable one.
        subscript(step: Int) -> Value { step == 0 ? durable : later[step - 1].value }

        /// Everything before `index` is durable.
        mutating func settle(before index: Int) {
            let count = later.prefix { $0.at < index }.count
            if count == 0 { return }
            durable = later[count - 1].value
            later.removeFirst(count)
        }

        /// The version as of `index`, if nothing older is asked for than the durable one.
        func step(before index: Int) -> Int { later.prefix { $0.at < index }.count }
    }

    struct Entry {
        var node: Int?
        var movedTo: Trace.Name?
    }

    struct Node {
        var isDirectory: Bool
        var size = Versions(durable: 0)
        var pages: [Int: Versions<[UInt8]>] = [:]
        var dirtyPages: Set<Int> = []
        var entries: [String: Versions<Entry>] = [:]
    }

    static let zeros = [UInt8](repeating: 0, count: Trace.pageSize)

    private(set) var nodes: [Node]
    /// How many events have happened.
    private(set) var count = 0

    init(_ trace: Trace) {
        nodes = (0..<trace.nodes).map { Node(isDirectory: trace.directories.contains($0)) }
        for event in trace.base { apply(event) }
        for number in nodes.indices { settle(number, before: 0) }
        count = 0
    }

    /// The next event happens. `isLie`: a sync reports success and does nothing.
    mutating func apply(_ event: Trace.Event, isLie: Bool = false) {
        let at = count
        count += 1
        switch event {
        case .entry(let name, let node, let movedTo):
            nodes[name.directory].entries[name.name, default: .init(durable: Entry())].later.append(
                (at, Entry(node: node, movedTo: movedTo)))
        case .size(let node, let size):
            nodes[node].size.later.append((at, size))
        case .page(let node, let number, let bytes):
            nodes[node].pages[number, default: .init(durable: Self.zeros)].later.append((at, bytes))
            nodes[node].dirtyPages.insert(number)
        case .sync(let node, let begun):
            if !isLie { settle(node, before: begun) }
        }
    }

    private mutating func settle(_ node: Int, before index: Int) {
        // Events of the base are numbered as well, and all of them count.
        let limit = index == 0 ? Int.max : index
        if nodes[node].isDirectory {
            for name in nodes[node].entries.keys.sorted() { nodes[node].entries[name]?.settle(before: limit) }
            return
        }
        nodes[node].size.settle(before: limit)
        for page in nodes[node].dirtyPages.sorted() {
            nodes[node].pages[page]?.settle(before: limit)
            if nodes[node].pages[page]?.later.isEmpty ?? true { nodes[node].dirtyPages.remove(page) }
        }
    }
}
