import Synchronization

/// Leaving hints beside segments that nothing will be appended to any more (DESIGN 7.4).
extension Store {
    /// Bytes of log that are read for hints in one turn of the maintenance thread.
    private static var hintBytes: Int { 256 << 20 }

    /// Writes the hints of segments that were sealed since the store was opened, or of all after a rebuild: those whose records are
    /// durable, and where a hint is small beside its segment. Failures cost a hint. Whether there are more.
    @discardableResult
    func writeHints() -> Bool {
        let segments = log.segments
        let synced = block.synced.acquire()
        guard synced != 0, block.poison.relaxed() == 0, segments.count > 1 else { return false }
        let head = block.read().head
        var bytes = 0
        for (segment, next) in zip(segments, segments.dropFirst())
        where segment.first >= hintedEnd.load(ordering: .relaxed) {
            let end = next.header.predecessorEnd
            if end > synced { return false }
            // What was cut off has another successor, or none.
            guard next.header.predecessor == segment.first else {
                hintedEnd.store(segment.limit, ordering: .relaxed)
                continue
            }
            if bytes >= Self.hintBytes { return true }
            hintedEnd.store(segment.limit, ordering: .relaxed)
            if segment.limit <= head { continue }
            bytes += Int(segment.header.length)
            try? writeHint(segment, end: end)
        }
        return false
    }

    private func writeHint(_ segment: Segment, end: Position) throws(SystemError) {
        let name = SegmentHint.name(segment.first)
        guard end > segment.firstRecord, end <= segment.limit, try files.status(of: name, in: log.directory) == nil
        else { return }
        // A look at its beginning tells most of those that don't pay.
        let count = Int(end - segment.first)
        guard try hasLongRecords(segment, count) else { return }
        let content = try files.read(segment.file(), count: count, at: 0)
        let encoded = content.withUnsafeBytes {
            SegmentHint.encoded(segment.header, end: end, $0, hash: hash)
        }
        guard let encoded else { return }
        // Who dies in between leaves a file that no check believes.
        let file = try files.open(name, in: log.directory, [.write, .create, .exclusive])
        do throws(SystemError) {
            try files.write(file, encoded, at: 0)
        } catch {
            try? files.unlinkIfPresent(name, in: log.directory)
            throw error
        }
        FaultPoint.reach(.hintWritten)
    }

    private func hasLongRecords(_ segment: Segment, _ count: Int) throws(SystemError) -> Bool {
        let sample = try files.read(segment.file(), count: min(count, 64 << 10), at: 0)
        return sample.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return false }
            var offset = SegmentHeader.size
            var records = 0
            while offset < buffer.count,
                let record = Record(
                    at: base + offset, position: segment.first + UInt64(offset), available: buffer.count - offset)
            {
                offset += record.size
                records += 1
            }
            return records < 4 || (offset - SegmentHeader.size) / records > 240
        }
    }
}
