import Synchronization

/// Proves log, hash index, ordered views, queues, counters and value files against each other, both ways (P48).
extension Store {
    /// Something that isn't as it should be.
    public struct Finding: Sendable, Equatable {
        /// What kind of thing it is.
        public enum Kind: Sendable, Equatable {
            case damagedLog, missingSegment, wrongIndex, wrongCounter, missingFile, damagedFile, unknownFile, wrongView
            case wrongQueue
        }
        /// What kind of thing it is.
        public let kind: Kind
        /// What and where, in words.
        public let message: String
    }

    /// What the log says about a key.
    private struct LogRow {
        var position: Position
        var isRow: Bool
        var size: Int
        var file: ValueFileReference?
    }

    /// Reads the log with `pread` under the write lock; readers go on. `fix`: puts right what can be; what was found is
    /// given back all the same.
    public func check(timeout: UInt64, fix: Bool = false) throws(EngineError) -> [Finding] {
        if lock.isHeldByThisThread {
            throw EngineError(
                .inTransaction, "a store can't be checked inside a transaction; check it before or after", path: path)
        }
        // What may go by now is no finding. If it can't go now, files aren't looked at.
        try? unlinkSpared(evenIfNeeded: false, timeout: timeout)
        return try write(timeout: timeout) { () throws(EngineError) in
            try takeOver()
            var repairs = Repairs()
            let findings = try examine(&repairs)
            if fix { try repair(repairs) }
            return findings
        }
    }

    private func examine(_ repairs: inout Repairs) throws(EngineError) -> [Finding] {
        var findings: [Finding] = []
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: head)
        for gap in chain.gaps where gap.end > head {
            findings.append(Finding(kind: .missingSegment, message: gap.text))
        }
        var rows: [UInt64: LogRow] = [:]
        var expected = CommitBlock.Counters()
        let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: log.tail)
        var pending: [(hash: UInt64, row: LogRow, hasSlot: Bool)] = []
        let start = max(head, chain.links.first?.segment.firstRecord ?? 0)
        var end = start
        let (keyHash, firstHead) = (hash, head)
        try scanner.scan(from: start) { (outcome) throws(EngineError) in
            switch outcome {
            case .record(let record):
                if record.kind == RecordKind.void.rawValue {
                    let from = record.valueWord
                    pending.removeAll { $0.row.position >= from }
                }
                let isPut = record.kind == RecordKind.put.rawValue
                let row = LogRow(
                    position: record.position, isRow: isPut, size: record.size,
                    file: isPut && ValueFormCode.isFile(record.form) ? ValueFileReference(record.value) : nil)
                pending.append((keyHash(KeyClass.identity(record.keyClass), record.key), row, record.hasSlot))
                guard record.isCommit else { return }
                for item in pending where item.hasSlot && item.row.position >= firstHead {
                    rows[item.hash] = item.row
                }
                pending.removeAll(keepingCapacity: true)
                end = record.end
            case .damaged(let from, let to):
                findings.append(
                    Finding(
                        kind: .damagedLog,
                        message: "the log from position \(from) to \(to) holds no record; what it held is lost"))
            case .hinted, .end: break
            }
        }
        // Of a transaction whose end was lost to damage.
        for item in pending where item.hasSlot && item.row.position >= firstHead && item.row.position < log.tail {
            rows[item.hash] = item.row
        }
        if end < log.tail, log.activeFirst != 0, log.tail > log.activeFirst + UInt64(SegmentHeader.size) {
            findings.append(
                Finding(
                    kind: .damagedLog, message: "the log ends at position \(end), the commit block says \(log.tail)"))
        }
        for row in rows.values where row.isRow {
            expected.count &+= 1
            expected.live &+= CommitBlock.Counters.accounted(row.size)
            if let file = row.file {
                let bytes = CommitBlock.Counters.fileBytes(length: file.length)
                expected.live &+= bytes
                expected.fileBytes &+= bytes
            }
        }
        let hasDamage = !findings.isEmpty
        do throws(EngineError) {
            findings += try checkIndex(rows)
        } catch {
            guard error.code == .corrupted else { throw error }
            findings.append(Finding(kind: .wrongIndex, message: error.message))
        }
        if !hasDamage {
            func compare(_ name: String, _ stored: UInt64, _ counted: UInt64) {
                if stored != counted {
                    findings.append(
                        Finding(kind: .wrongCounter, message: "\(name) says \(stored), there are \(counted)"))
                }
            }
            compare("the counter of items", counters.count, expected.count)
            compare("the counter of live bytes", counters.live, expected.live)
            compare("the counter of file bytes", counters.fileBytes, expected.fileBytes)
            let queueFindings = try checkQueues(rows.values.filter(\.isRow).map(\.position))
            repairs.hasWrongQueues = !queueFindings.isEmpty
            findings += queueFindings
        } else {
            repairs.hasWrongQueues = true
        }
        repairs.needsRebuild = findings.contains { $0.kind == .wrongIndex || $0.kind == .wrongCounter }
        findings += try checkFiles(rows, &repairs)
        if !hasDamage { findings += try checkTrees() }
        repairs.needsTrees = findings.contains { $0.kind == .wrongView }
        return findings
    }

    private func checkIndex(_ rows: [UInt64: LogRow]) throws(EngineError) -> [Finding] {
        var findings: [Finding] = []
        for (hash, row) in rows {
            if try index.slot(naming: row.position, hash: hash) == nil {
                findings.append(
                    Finding(
                        kind: .wrongIndex,
                        message: "the index doesn't name the newest record of a key, at position \(row.position)"))
            }
        }
        var named = 0
        for position in index.positions(anchor: log.tail) where position >= head {
            named += 1
            guard case .record(let record) = try log.record(at: position) else {
                findings.append(
                    Finding(kind: .wrongIndex, message: "the index names position \(position), where no record stands"))
                continue
            }
            let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
            if rows[hash]?.position != position {
                findings.append(
                    Finding(
                        kind: .wrongIndex,
                        message: "the index names position \(position), which isn't a key's newest record"))
            }
        }
        return findings
    }

    private func checkFiles(_ rows: [UInt64: LogRow], _ repairs: inout Repairs) throws(EngineError) -> [Finding] {
        var findings: [Finding] = []
        var known: Set<ValueFileName> = []
        for row in rows.values {
            guard let reference = row.file else { continue }
            known.insert(reference.name)
            do throws(ValueFileError) {
                guard let reader = try valueFiles.open(reference) else {
                    repairs.lostRows.append(row.position)
                    findings.append(
                        Finding(kind: .missingFile, message: "the value's file \(reference.name.path) is missing"))
                    continue
                }
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
                defer { buffer.deallocate() }
                while try reader.read(into: buffer) > 0 {}
            } catch {
                if case .corrupted = error { repairs.lostRows.append(row.position) }
                findings.append(
                    Finding(kind: .damagedFile, message: Self.engineError(error).message + " (\(reference.name.path))"))
            }
        }
        // While replaced files wait for a sync before they may go, a file without a row is no finding.
        guard block.deadFiles.relaxed() <= block.synced.relaxed(), block.deadFrom.relaxed() == 0 else {
            return findings
        }
        let firsts = try Log.firsts(files, log.directory)
        do throws(SystemError) {
            // What `clear` left below the head goes with its segment.
            for first in firsts where first < head {
                let opened = try Segment.open(
                    first, in: log.directory, files: files, storeID: identity.storeID, salt: identity.salt,
                    writable: false)
                if case .segment(let segment) = opened {
                    known.formUnion(try syncRange.files(in: segment, below: head).map(\.name))
                }
            }
            for name in try valueFiles.list() where !known.contains(name) {
                repairs.unknownFiles.append(name)
                findings.append(Finding(kind: .unknownFile, message: "no item names the file \(name.path)"))
            }
        } catch {
            throw EngineError(error)
        }
        return findings
    }
}
