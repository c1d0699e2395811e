import DiskCache
import Workloads

/// `Deque` and `Index` beside Python's DiskCache at the same work (`Peers/collections_peer.py`).
enum Collections {
    private static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
    /// As long as a deque is whose places are asked for.
    private static let length = 3000

    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        try PeerRace(
            name: "collections", script: "collections_peer.py",
            note: "places and rotation in a deque of \(length), iteration by element"
        ).run(keys: keys, rounds: rounds, directory: directory) { directory, keys, say in
            try deque("\(directory)/deque", keys: min(keys, 200_000), say)
            try index("\(directory)/index", keys: min(keys, 200_000), say)
        }
    }

    private static var configuration: Cache.Configuration {
        var configuration = Cache.Configuration()
        configuration.durability = Durability.none
        return configuration
    }

    private static func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        try PeerRace.timed(count, body)
    }

    private static func deque(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let deque = try Deque<[UInt8]>(directory: path, configuration: configuration)
        say("append", try timed(keys) { for _ in 0..<keys { try deque.append(value) } })
        say("iterate", try timed(keys) { try count(deque.elements(), keys) })
        say("popleft", try timed(keys) { for _ in 0..<keys { _ = try deque.popFirst() } })
        try deque.append(contentsOf: repeatElement(value, count: length))
        say("at", try timed(keys) { for i in 0..<keys { _ = try deque[i &* 7919 % length] } })
        say("rotate-1", try timed(keys / 10) { for _ in 0..<(keys / 10) { try deque.rotate(by: 1) } })
        for _ in 0..<10 { try deque.remove(at: length / 3) }
        let left = length - 10
        say("at-with-gaps", try timed(2000) { for i in 0..<2000 { _ = try deque[i &* 7919 % left] } })
        say("reverse", try timed(left) { try deque.reverse() })
        try deque.close()
    }

    private static func index(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let index = try Index<Int, [UInt8]>(directory: path, configuration: configuration)
        say("index-set", try timed(keys) { for i in 0..<keys { try index.set(i, value) } })
        say("index-get", try timed(keys) { for i in 0..<keys { _ = try index[i &* 7919 % keys] } })
        say("index-iterate", try timed(keys) { try count(index.items(), keys) })
        say("popitem-first", try timed(keys / 2) { for _ in 0..<(keys / 2) { _ = try index.popFirst() } })
        say("popitem-last", try timed(keys / 2) { for _ in 0..<(keys / 2) { _ = try index.popLast() } })
        try index.close()
    }

    private static func count<E>(_ cursor: Cursor<E>, _ wanted: Int) throws {
        var count = 0
        while try cursor.next() != nil { count += 1 }
        precondition(count == wanted, "\(count) of \(wanted) elements were met")
    }
}
