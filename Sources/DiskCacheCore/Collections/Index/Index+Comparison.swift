/// Two ways of being equal. No lock; what is compared is what a cursor meets.
extension Index where Value: Equatable {
    /// Whether the items are equal to those of a sequence, in their order. O(n).
    public func elementsEqual(_ other: some Sequence<(key: Key, value: Value)>) throws -> Bool {
        let items = try items()
        for item in other {
            guard let own = try items.next(), own == item else { return false }
        }
        return try items.next() == nil
    }

    /// Whether the items are equal to those of another index, in their order. O(n).
    public func elementsEqual(_ other: Index) throws -> Bool {
        let (items, others) = (try items(), try other.items())
        while let own = try items.next() {
            guard let item = try others.next(), own == item else { return false }
        }
        return try others.next() == nil
    }

    /// Whether the items are equal to those of a dictionary, whatever their order. O(n).
    public func equals(_ dictionary: [Key: Value]) throws -> Bool { try equals(dictionary.count) { dictionary[$0] } }

    /// Whether the items are equal to those of another index, whatever their order. O(n).
    public func equals(_ other: Index) throws -> Bool {
        var count = 0
        try other.keys().forEach { _ in count += 1 }
        return try equals(count) { try other[$0] }
    }

    private func equals(_ count: Int, _ other: (Key) throws -> Value?) throws -> Bool {
        let items = try items()
        var met = 0
        while let own = try items.next() {
            guard met < count, let value = try other(own.key), value == own.value else { return false }
            met += 1
        }
        return met == count
    }
}
