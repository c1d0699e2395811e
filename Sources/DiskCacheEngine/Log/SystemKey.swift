/// The names of the store's own facts: keys of class system. Stored in files; never rename.
///
/// ```
/// settings               one record, whose position stands in the commit block
/// queue ‖ prefix         one for each queue (`QueueEnds`); the prefix as the keys of the queue's items begin
/// ```
enum SystemKey {
    static let settings: StaticString = "settings"
    static let queue: StaticString = "queue"
    /// "settings" as it lies in memory, read as one little-endian number.
    fileprivate static let settingsWord: UInt64 = 0x7367_6E69_7474_6573
}

extension Record {
    /// Whether it holds the settings.
    var isSettings: Bool {
        kind == RecordKind.system.rawValue && key.count == 8
            && UInt64(littleEndian: key.loadUnaligned(as: UInt64.self)) == SystemKey.settingsWord
    }

    /// Whether the index leads to it: a version of a key, or a fact of the store other than the settings.
    @inline(__always) var hasSlot: Bool {
        kind == RecordKind.put.rawValue || kind == RecordKind.tombstone.rawValue
            || (kind == RecordKind.system.rawValue && !isSettings)
    }
}
