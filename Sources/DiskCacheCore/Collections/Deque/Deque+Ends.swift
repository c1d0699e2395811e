/// What comes and goes at the ends. All take the write lock, which they wait for `timeout` at most; then they throw `timeout`, and
/// nothing has happened. All throw `diskFull`, `io`, `poisoned`, `directoryRemoved`.
extension Deque {
    // MARK: Adding

    /// Adds an element at the back; over `maxLength` the first one goes, in the same transaction. O(1).
    ///
    /// Throws `queueFull` after half a quadrillion elements at one end of a deque that never was empty.
    @inlinable
    public func append(_ element: Element) throws { _ = try store.cache.push(element, side: .back) }

    /// Adds an element at the front; over `maxLength` the last one goes, in the same transaction. O(1). Throws as `append`.
    @inlinable
    public func prepend(_ element: Element) throws { _ = try store.cache.push(element, side: .front) }

    /// Adds elements at the back, all at one instant or none. O(added), with the write lock held.
    ///
    /// The sequence is read to its end before anything is added.
    public func append(contentsOf elements: some Sequence<Element>) throws {
        let elements = Array(elements)
        try transact { for element in elements { try append(element) } }
    }

    /// Adds the elements of a deque, which may be this one; as the other `append(contentsOf:)`.
    public func append(contentsOf other: Deque) throws { try append(contentsOf: Array(other.elements())) }

    /// Adds elements at the front, in their order, so that the first of them is the deque's first; as `append(contentsOf:)`.
    ///
    /// (DiskCache's `extendleft` reverses them; so does this with `elements.reversed()`.)
    public func prepend(contentsOf elements: some Sequence<Element>) throws {
        let elements = Array(elements)
        try transact { for element in elements.reversed() { try prepend(element) } }
    }

    /// Adds the elements of a deque, which may be this one; as the other `prepend(contentsOf:)`.
    public func prepend(contentsOf other: Deque) throws { try prepend(contentsOf: Array(other.elements())) }

    // MARK: Taking

    /// Removes the first element and gives it; nil: there is none. Of several callers at the same time one gets it. O(1), but for gaps
    /// near the end. An empty deque is told without the lock.
    ///
    /// If the element can't be read as an `Element` nothing is removed. An element whose file is missing is removed, and the next one is
    /// given.
    ///
    /// - Parameter timeout: How long to wait for an element if there is none: whoever adds one, in any thread or process, wakes the caller
    ///   within a few milliseconds; until then it sleeps. nil or zero: not at all. Inside a transaction there is no waiting.
    @inlinable
    public func popFirst(timeout: Duration? = nil) throws -> Element? {
        try store.cache.pull(as: Element.self, side: .front, timeout: timeout)?.value
    }

    /// Removes the last element and gives it; as `popFirst`.
    @inlinable
    public func popLast(timeout: Duration? = nil) throws -> Element? {
        try store.cache.pull(as: Element.self, side: .back, timeout: timeout)?.value
    }

    /// The first element; nil: there is none. O(1); no lock, unless its file is missing.
    @inlinable
    public var first: Element? {
        get throws { try store.cache.peek(as: Element.self, side: .front)?.value }
    }

    /// The last element; nil: there is none. O(1); no lock, unless its file is missing.
    @inlinable
    public var last: Element? {
        get throws { try store.cache.peek(as: Element.self, side: .back)?.value }
    }
}
