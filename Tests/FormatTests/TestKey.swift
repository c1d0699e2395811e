@testable import DiskCacheCore

/// A key as the engine takes it.
struct TestKey: Hashable, Comparable, Sendable {
    let keyClass: UInt8
    let bytes: [UInt8]

    init(_ keyClass: UInt8, _ bytes: [UInt8]) {
        self.keyClass = keyClass
        self.bytes = bytes
    }

    /// As the library encodes it.
    init(_ key: some CacheKey) throws {
        self = try withKeyBytes(key) { TestKey($0, Array($1)) }
    }

    /// The class that decides whether two keys are the same.
    var identity: UInt8 { keyClass == 2 ? 1 : keyClass }

    static func == (a: TestKey, b: TestKey) -> Bool { a.identity == b.identity && a.bytes == b.bytes }

    func hash(into hasher: inout Hasher) {
        hasher.combine(identity)
        hasher.combine(bytes)
    }

    static func < (a: TestKey, b: TestKey) -> Bool {
        a.identity != b.identity ? a.identity < b.identity : a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

/// A key that is a record of its own, so that it is serialised.
struct Page: Codable, CacheKey {
    var site: String
    var number: Int
}

/// Keys of all classes but queues', with the limits of each.
func keysOfAllClasses() throws -> [TestKey] {
    [
        try TestKey(Int?.none), try TestKey(0), try TestKey(1), try TestKey(-1), try TestKey(Int64.min),
        try TestKey(Int64.max), try TestKey(UInt64.max), try TestKey((1 << 53) + 1), try TestKey(0.5),
        try TestKey(-2.5), try TestKey(Double.infinity), try TestKey(-Double.infinity), try TestKey(1e300),
        try TestKey(""), try TestKey("text"), try TestKey("näher\u{0}"), try TestKey([UInt8]()),
        try TestKey([0x00, 0xff] as [UInt8]), try TestKey(true), try TestKey(false),
        try TestKey(Page(site: "swift.org", number: 3)),
    ]
}

/// Keys of items of queues, which only a push makes.
func keysOfQueues() throws -> [TestKey] {
    [
        try TestKey(QueueKey(number: 500_000_000_000_000)), try TestKey(QueueKey(prefix: "", number: -1)),
        try TestKey(QueueKey(prefix: "a\u{0}b", number: .max)),
    ]
}

/// Forms and bytes of values that lie in their records.
func valuesOfAllForms() throws -> [(form: UInt16, bytes: [UInt8])] {
    var values: [(form: UInt16, bytes: [UInt8])] = []
    func add(_ value: some Encodable) throws {
        try encodeValue(value, serializer: CBORSerializer()) { values.append((UInt16($0.rawValue), Array($1))) }
    }
    try add(Int?.none)
    try add(-7)
    try add(UInt64.max)
    try add(-0.5)
    try add("text")
    try add([1, 2, 3] as [UInt8])
    try add(["a": [1.5, 100_000.0, 1e300], "bb": []])
    try add([true, nil, false])
    return values
}
