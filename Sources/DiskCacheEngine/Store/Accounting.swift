/// What a record does to the counters: the one place, used by writers, by settling and by rebuild, so that all three come to
/// the same figures.
extension CommitBlock.Counters {
    /// Bytes that a row is accounted with, beside its file: its record and a slot with its share of empty ones.
    @inline(__always) static func accounted(_ size: Int) -> UInt64 { UInt64(truncatingIfNeeded: size &+ 24) }

    /// Bytes that a value file is accounted with: whole pages, and one for an empty file, so that 0 means no files at all.
    static func fileBytes(length: Int) -> UInt64 { (UInt64(max(length, 1)) &+ 4095) & ~4095 }

    /// The same for the file that a record's value names.
    static func fileBytes(_ value: UnsafeRawBufferPointer) -> UInt64 {
        fileBytes(length: ValueFileReference(value)?.length ?? 0)
    }

    /// A row whose record takes `size` bytes has come.
    @inline(__always)
    mutating func add(size: Int, form: UInt16, value: UnsafeRawBufferPointer, expiry: Int64?) {
        live &+= Self.accounted(size)
        if ValueFormCode.isFile(form) {
            let bytes = Self.fileBytes(value)
            live &+= bytes
            fileBytes &+= bytes
        }
        if let expiry { earliestExpiry = min(earliestExpiry, UInt64(max(expiry, 0))) }
    }

    /// A row's record was replaced or removed.
    @inline(__always)
    mutating func subtract(_ record: Record) {
        live &-= Self.accounted(record.size)
        dead &+= UInt64(truncatingIfNeeded: record.size)
        if ValueFormCode.isFile(record.form) {
            let bytes = Self.fileBytes(record.value)
            live &-= bytes
            fileBytes &-= bytes
        }
    }

    /// A committed record of any kind, where the row that it replaces is known. Head records are the caller's.
    mutating func apply(_ record: Record, replacing row: Record?) {
        lastStoredTime = max(lastStoredTime, record.bits.has(RecordBits.kept) ? 0 : record.storedTime)
        lastRecord = record.position
        switch record.kind {
        case RecordKind.put.rawValue:
            if let row { subtract(row) } else { count &+= 1 }
            nextRowid = max(nextRowid, record.rowid &+ 1)
            add(size: record.size, form: record.form, value: record.value, expiry: record.expiry)
        case RecordKind.tombstone.rawValue:
            if let row {
                subtract(row)
                count &-= 1
            }
            dead &+= UInt64(record.size)
        case RecordKind.system.rawValue:
            if record.isSettings { settings = record.position }
            dead &+= UInt64(record.size)
        case RecordKind.head.rawValue:
            // `clear`: the head that names itself. Nothing below it is a row any more.
            if record.valueWord == record.position {
                count = 0
                live = 0
                dead = 0
                fileBytes = 0
                earliestExpiry = UInt64(Int64.max)
            }
            dead &+= UInt64(record.size)
        case RecordKind.void.rawValue:
            // As when it was written: it and all that it takes back.
            let from = record.valueWord
            dead &+= from < record.position ? record.end &- from : UInt64(record.size)
        default:
            dead &+= UInt64(record.size)
        }
    }
}
