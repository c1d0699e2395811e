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
    @usableFromInline let fill: (inout [Element]) throws -> Bool
    @exclusivity(unchecked) @usableFromInline var batch: [Element] = []
    @exclusivity(unchecked) @usableFromInline var index = 0
    private var isAtEnd = false
    private var failure: (any Error)?

    /// A cursor over what `fill` appends, batch by batch, until it says false. What it appends before it throws is given first.
    @usableFromInline
    init(_ fill: @escaping (_ batch: inout [Element]) throws -> Bool) {
        self.fill = fill
    }

    /// The next element; nil at the end. Throws what reading it threw.
    @inlinable
    public func next() throws -> Element? {
        while index == batch.count {
            guard try readBatch() else { return nil }
        }
        let element = batch[index]
        index += 1
        return element
    }

    /// Reads the next batch; false: there is none.
    @usableFromInline
    func readBatch() throws -> Bool {
        if let failure { throw failure }
        if isAtEnd { return false }
        batch.removeAll(keepingCapacity: true)
        index = 0
        do {
            isAtEnd = try !fill(&batch)
        } catch {
            failure = error
        }
        return true
    }

    /// Calls `body` with each element that is left.
    @inlinable
    public func forEach(_ body: (Element) throws -> Void) throws {
        while let element = try next() { try body(element) }
    }

    /// A cursor over what `transform` makes of each element, when it is asked for.
    public func map<Other>(_ transform: @escaping (Element) throws -> Other) -> Cursor<Other> {
        Cursor<Other> { [self] batch in
            guard let element = try next() else { return false }
            batch.append(try transform(element))
            return true
        }
    }

    /// A cursor over the elements for which `isIncluded` says true, when they are asked for.
    public func filter(_ isIncluded: @escaping (Element) throws -> Bool) -> Cursor<Element> {
        Cursor { [self] batch in
            guard let element = try next() else { return false }
            if try isIncluded(element) { batch.append(element) }
            return true
        }
    }

    /// A cursor over the first elements that are left, `count` at most.
    public func prefix(_ count: Int) -> Cursor<Element> {
        var left = count
        return Cursor { [self] batch in
            guard left > 0, let element = try next() else { return false }
            left -= 1
            batch.append(element)
            return true
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
