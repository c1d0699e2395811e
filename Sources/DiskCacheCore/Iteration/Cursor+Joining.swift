extension Cursor {
    /// A cursor over the elements of several, one after the other.
    convenience init(chaining cursors: [Cursor<Element>]) {
        var left = cursors[...]
        self.init {
            while let first = left.first {
                if let element = try first.next() { return element }
                left = left.dropFirst()
            }
            return nil
        }
    }
}

/// An element with its place in an order, which is that of the bytes. Whatever reading the element threw is thrown when its turn
/// comes, so that what lies before it is given first.
struct PlacedElement<Element> {
    let place: [UInt8]
    let element: Result<Element, any Error>

    init(_ place: [UInt8], _ element: Result<Element, any Error>) {
        self.place = place
        self.element = element
    }

    /// Whether the element comes before another, or with `reversed` after it.
    func precedes(_ other: PlacedElement, reversed: Bool) -> Bool {
        reversed ? other.place.lexicographicallyPrecedes(place) : place.lexicographicallyPrecedes(other.place)
    }
}

/// Merges cursors each of which is in order: a heap of their next elements (Knuth, The Art of Computer Programming 3, 5.4.1), so an
/// element costs about log₂ of their number of comparisons.
final class MergedCursors<Element> {
    typealias Source = Cursor<PlacedElement<Element>>
    private let isReversed: Bool
    /// The cursors that haven't been asked for their first element yet.
    private var unread: [Source]
    /// A binary heap with the least element at its root.
    private var heap: [(next: PlacedElement<Element>, source: Source)] = []

    init(_ sources: [Source], reversed: Bool) {
        unread = sources
        isReversed = reversed
        heap.reserveCapacity(sources.count)
    }

    /// The next element of all; nil at the end.
    func next() throws -> Element? {
        while let source = unread.last {
            if let first = try source.next() {
                heap.append((first, source))
                siftUp()
            }
            unread.removeLast()
        }
        guard let root = heap.first else { return nil }
        if let following = try root.source.next() {
            heap[0].next = following
        } else {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
        }
        siftDown()
        return try root.next.element.get()
    }

    private func siftUp() {
        var at = heap.count - 1
        while at > 0 {
            let parent = (at - 1) / 2
            guard heap[at].next.precedes(heap[parent].next, reversed: isReversed) else { return }
            heap.swapAt(at, parent)
            at = parent
        }
    }

    private func siftDown() {
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count {
                if heap[child].next.precedes(heap[least].next, reversed: isReversed) { least = child }
            }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }
}

extension Cursor {
    /// A cursor over the elements of several that are in one order each, in that order.
    convenience init(merging cursors: [Cursor<PlacedElement<Element>>], reversed: Bool) {
        let merged = MergedCursors(cursors, reversed: reversed)
        self.init { try merged.next() }
    }
}
