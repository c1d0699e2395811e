/// Elements by their index: 0 is the first, −1 the last. An index at which there is no element throws `keyNotFound`.
///
/// O(1) without gaps. Where elements were removed from the middle: O(min(index, count − index)), about ten million elements and gaps a
/// second.
extension Deque {
    /// The element at an index. No lock, unless others write all the time while it is looked for.
    @inlinable
    public subscript(index: Int) -> Element {
        get throws {
            var element: Element?
            try store.withItem(at: index) { form, bytes in
                element = try decodeValue(Element.self, form: form, bytes: bytes, serializer: store.cache.serializer)
            }
            guard let element else { throw store.noItem(at: index) }
            return element
        }
    }

    /// Gives the place at an index another element. Takes the write lock, as `append`.
    @inlinable
    public func set(_ element: Element, at index: Int) throws {
        try encodeValue(element, serializer: store.cache.serializer) { form, bytes in
            try store.replaceItem(at: index, form, bytes)
        }
    }

    /// Adds an element so that it has an index from then on: before the one that has it now, or at the end for `count`. −1 is before the
    /// last one. All at one instant; O(min(index, count − index)), with the write lock held. What is moved for that counts as added where
    /// cursors are concerned.
    ///
    /// Throws `queueFull` if there are `maxLength` elements already: which of them is to go isn't said. Otherwise as `append`.
    public func insert(_ element: Element, at index: Int) throws {
        try transact {
            let count = try store.elementCount
            let place = index < 0 ? index + count : index
            guard (0...count).contains(place) else { throw store.noItem(at: index) }
            if let limit = try maxLength, count >= limit {
                throw CacheError(.queueFull, "the deque has its \(limit) elements already", path: directory)
            }
            if place == count { return try append(element) }
            try rotate(by: -place)
            try prepend(element)
            try rotate(by: place)
        }
    }

    /// Removes the element at an index and gives it. Nothing else moves in the store: in the middle it leaves a gap. Takes the write
    /// lock, as `append`. If the element can't be read as an `Element` nothing is removed.
    @inlinable @discardableResult
    public func remove(at index: Int) throws -> Element {
        var element: Element?
        try store.removeItem(at: index) { form, bytes in
            element = try decodeValue(Element.self, form: form, bytes: bytes, serializer: store.cache.serializer)
        }
        guard let element else { throw store.noItem(at: index) }
        return element
    }

    /// Moves the last `count` elements to the front, or as many first ones to the back if it is negative, all at one instant. O(min(count,
    /// length − count)), with the write lock held.
    public func rotate(by count: Int = 1) throws { try store.rotate(by: count) }

    /// Turns the order of the elements round, all at one instant. O(n), with the write lock held.
    public func reverse() throws { try store.reverse() }
}

extension Deque where Element: Equatable {
    /// Removes the first element that is equal to one. False: there is none. O(n), with the write lock held.
    @discardableResult
    public func removeFirst(equalTo element: Element) throws -> Bool {
        try store.removeFirst { form, bytes in
            try decodeValue(Element.self, form: form, bytes: bytes, serializer: store.cache.serializer) == element
        }
    }
}
