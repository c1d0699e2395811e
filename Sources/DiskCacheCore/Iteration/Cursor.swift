/// A sequence whose next element may fail to come: what a cache's keys and items are read with.
///
/// ```swift
/// let cursor = try cache.keys()
/// while let key = try cursor.next() {
///     print(key)
/// }
/// ```
///
/// Elements are read in batches, when they are asked for. Between two batches nothing is held: no lock, no snapshot, no file, so a
/// cursor may be kept for as long as one likes, the cache may be written to meanwhile, and closed. Every cursor can be read once.
///
/// A cursor is for one thread at a time. After an error it throws the same error again.
public final class Cursor<Element> {
    @usableFromInline let read: () throws -> Element?
    /// Whether `read` isn't to be called any more.
    @exclusivity(unchecked) @usableFromInline var isOver = false
    @exclusivity(unchecked) @usableFromInline var failure: (any Error)?

    /// A cursor over what `read` gives, until it says nil or throws.
    @usableFromInline
    init(_ read: @escaping () throws -> Element?) {
        self.read = read
    }

    /// A cursor over what `fill` appends, batch by batch, until it says false. What it appends before it throws is given first.
    @inlinable
    convenience init(batches fill: @escaping (_ batch: inout [Element]) throws -> Bool) {
        let batches = Batches(fill)
        self.init { try batches.next() }
    }

    /// The next element; nil at the end. Throws what reading it threw.
    @inlinable
    public func next() throws -> Element? {
        if isOver {
            if let failure { throw failure }
            return nil
        }
        do {
            if let element = try read() { return element }
        } catch {
            failure = error
        }
        isOver = true
        return try next()
    }

    /// Calls `body` with each element that is left.
    @inlinable
    public func forEach(_ body: (Element) throws -> Void) throws {
        while let element = try next() { try body(element) }
    }

    /// A cursor over what `transform` makes of each element, when it is asked for.
    public func map<Other>(_ transform: @escaping (Element) throws -> Other) -> Cursor<Other> {
        Cursor<Other> { [self] in try next().map(transform) }
    }

    /// A cursor over the elements for which `isIncluded` says true, when they are asked for.
    public func filter(_ isIncluded: @escaping (Element) throws -> Bool) -> Cursor<Element> {
        Cursor { [self] in
            while let element = try next() {
                if try isIncluded(element) { return element }
            }
            return nil
        }
    }

    /// A cursor over the first elements that are left, `count` at most.
    public func prefix(_ count: Int) -> Cursor<Element> {
        var left = count
        return Cursor { [self] in
            guard left > 0 else { return nil }
            left -= 1
            return try next()
        }
    }
}

/// Elements that are read several at once and given one by one.
@usableFromInline
final class Batches<Element> {
    @usableFromInline let fill: (inout [Element]) throws -> Bool
    /// The elements that are left of a batch, the next one at the end.
    @exclusivity(unchecked) @usableFromInline var batch: [Element] = []
    @exclusivity(unchecked) @usableFromInline var isAtEnd = false
    @exclusivity(unchecked) @usableFromInline var failure: (any Error)?

    @inlinable
    init(_ fill: @escaping (inout [Element]) throws -> Bool) {
        self.fill = fill
        batch.reserveCapacity(16)
    }

    @inlinable
    func next() throws -> Element? {
        while true {
            if let element = batch.popLast() { return element }
            if let failure { throw failure }
            if isAtEnd { return nil }
            do {
                isAtEnd = try !fill(&batch)
            } catch {
                failure = error
            }
            batch.reverse()
        }
    }
}

extension Array {
    /// All elements that are left in a cursor.
    @inlinable
    public init(_ cursor: Cursor<Element>) throws {
        self.init()
        while let element = try cursor.next() { append(element) }
    }
}
