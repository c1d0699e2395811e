/// All elements, in their order, and what is asked of them. None of this takes the write lock. All throw what reading a value throws:
/// `typeMismatch`, `undecodable`, `corrupted`, `io`.
extension Deque {
    /// The elements from front to back, or back to front, read as they are asked for.
    ///
    /// The cursor is bounded by the ends that the deque has now: each element that is there all the time is met once, with its newest
    /// value, and one that is added afterwards isn't met. So a loop that adds elements ends. One that was moved, by `rotate`, counts as
    /// added. Elements whose records are damaged, or whose files are missing, are left out; `check` tells which.
    @inlinable
    public func elements(reversed: Bool = false) throws -> Cursor<Element> {
        let reader = try RowReader(store.cache, queue: nil, reversed: reversed)
        let serializer = store.cache.serializer
        return Cursor(batches: { batch in
            try reader.nextItems { _, _, form, bytes in
                batch.append(try decodeValue(Element.self, form: form, bytes: bytes, serializer: serializer))
            }
        })
    }

    /// Makes a deque in another directory with the elements that this one has at this instant, and its `maxLength`.
    ///
    /// All elements are in memory at once meanwhile. Throws `foreignDirectory` if there is a deque already that has elements, and as
    /// `init`.
    public func copy(to directory: String) throws -> Deque {
        var configuration = Cache.Configuration()
        configuration.serializer = store.cache.serializer
        let elements = try store.cache.snapshot { try $0.values(ofQueue: nil, as: Element.self) }
        let limit = try maxLength
        let copy = try Deque(directory: directory, configuration: configuration)
        try copy.transact {
            guard try copy.isEmpty else {
                throw CacheError(
                    .foreignDirectory, "the deque has elements already; copy to a new directory", path: copy.directory)
            }
            try copy.setMaxLength(limit)
            try copy.append(contentsOf: elements)
        }
        return copy
    }
}

extension Deque where Element: Equatable {
    /// How many elements are equal to one. O(n).
    public func count(of element: Element) throws -> Int {
        var count = 0
        try elements().forEach { if $0 == element { count += 1 } }
        return count
    }

    /// The index of the first element that is equal to one; nil: there is none. O(n).
    public func firstIndex(of element: Element) throws -> Int? {
        let elements = try elements()
        var index = 0
        while let candidate = try elements.next() {
            if candidate == element { return index }
            index += 1
        }
        return nil
    }

    /// Whether an element is equal to one. O(n).
    public func contains(_ element: Element) throws -> Bool { try firstIndex(of: element) != nil }

    /// Whether the elements are equal to those of a sequence, in their order. O(n).
    public func elementsEqual(_ other: some Sequence<Element>) throws -> Bool {
        let elements = try elements()
        for element in other {
            guard let own = try elements.next(), own == element else { return false }
        }
        return try elements.next() == nil
    }

    /// Whether the elements are equal to those of another deque, in their order. O(n).
    public func elementsEqual(_ other: Deque) throws -> Bool {
        if try count != other.count { return false }
        let (elements, others) = (try elements(), try other.elements())
        while let own = try elements.next() {
            guard let element = try others.next(), own == element else { return false }
        }
        return try others.next() == nil
    }
}

extension Deque where Element: Comparable {
    /// Whether the elements come before those of a sequence, as words in a dictionary do. O(n).
    public func lexicographicallyPrecedes(_ other: some Sequence<Element>) throws -> Bool {
        let elements = try elements()
        for element in other {
            guard let own = try elements.next() else { return true }
            if own < element { return true }
            if element < own { return false }
        }
        return false
    }

    /// Whether the elements come before those of another deque; as above.
    public func lexicographicallyPrecedes(_ other: Deque) throws -> Bool {
        let (elements, others) = (try elements(), try other.elements())
        while let element = try others.next() {
            guard let own = try elements.next() else { return true }
            if own < element { return true }
            if element < own { return false }
        }
        return false
    }
}
