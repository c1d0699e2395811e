/// `meta`: the mapped words through which all processes agree on what is committed. It holds no fact: all of it can be
/// made again from the log. Offsets are stored in files; never renumber.
///
/// ```
///    0  commit word 8     T | slot: the committed tail, and in bit 0 which slot of counters holds
///    8  head 2 × 8        where the log begins, one for each slot
///   24  index 8           generation of the hash index
///   32  poison 8          errno << 48 | synced / 4; 0: writes are welcome
///   40  floor 8           nothing below it can be had any more
///   48  modes 8           policy, statistics, serial number of the file of stamps (see `Modes`)
///   56  trees 8           generation of the file of trees; 0: there is none
///   64  synced 8          everything below is durable
///   72  syncing 8         1 while somebody syncs
///   80  knocks 8          how often somebody found the write lock taken
///   88  owner 8           random 32 | process id 32 of who took the write lock last
///   96  signal 4, sleepers 4   for blocking pulls
///  104  signal 4, sleepers 4   for the change feed
///  112  active 8          first position of the newest segment whose header is whole
///  120  dead files 8      T of the last commit that replaced a record with a value file
///  128  making 8          first position of a segment that is being made; 0: none
///  136  beyond 8          no segment that is made from now on begins below this
///  144  wanted trees 8    bit n: tree n was read since the last batch that drops what nobody reads
///  152  dead bytes 8      bytes of value files that were replaced and may not be unlinked yet
///  160  spare 8          first position of the segment that was made of the spare, while there is no other; 0: none
///  168  dead from 8       value files that were replaced from here on may be in place still, though *synced* has passed it; 0: none
///  176  unswept 8         1: value files that no record names may be in place, since the index was made again
///  184 speed 8         bytes that compaction gives back a second; a hint; 0: not known
///  192  metrics 8 × 8     see `Metrics`
///  256  counters 10 × 8   slot 0: count, live, dead, file bytes, next rowid, last stored time, earliest expiry,
///                         last record, settings, check
///  384  counters 10 × 8   slot 1
///  512  identity 128      see `StoreIdentity`
///  640  seal 128          see `Seal`
/// 1024  statistics 2048  hits and misses, striped; see `Statistics`
/// ```
///
/// **Commit.** The holder of the write lock fills the slot that doesn't hold, then stores the word (release). T only grows and
/// no two commits share one, so a reader that finds the same word before and after holds a consistent block (models: block.pml).
/// Each slot ends with a check word, the rotated exclusive or of the others and T: a flipped bit is seen at opening.
struct CommitBlock: @unchecked Sendable {
    static let fileSize = 4096
    let base: UnsafeMutableRawPointer

    init(base: UnsafeMutableRawPointer) { self.base = base }

    @inline(__always) var word: SharedWord { SharedWord(base, 0) }
    @inline(__always) func head(_ slot: UInt64) -> SharedWord { SharedWord(base, 8 &+ Int(slot) &* 8) }
    @inline(__always) var indexGeneration: SharedWord { SharedWord(base, 24) }
    @inline(__always) var poison: SharedWord { SharedWord(base, 32) }
    @inline(__always) var floor: SharedWord { SharedWord(base, 40) }
    /// See `Modes`.
    @inline(__always) var modes: SharedWord { SharedWord(base, 48) }
    @inline(__always) var treesGeneration: SharedWord { SharedWord(base, 56) }
    @inline(__always) var synced: SharedWord { SharedWord(base, 64) }
    @inline(__always) var syncing: SharedWord { SharedWord(base, 72) }
    @inline(__always) var knocks: SharedWord { SharedWord(base, 80) }
    @inline(__always) var owner: SharedWord { SharedWord(base, 88) }
    /// Where threads wait for items of queues.
    @inline(__always) var pulls: SleepingPlace {
        SleepingPlace(signal: SharedHalf(base, 96), sleepers: SharedHalf(base, 100))
    }
    /// Where threads wait for commits.
    @inline(__always) var follows: SleepingPlace {
        SleepingPlace(signal: SharedHalf(base, 104), sleepers: SharedHalf(base, 108))
    }
    @inline(__always) var active: SharedWord { SharedWord(base, 112) }
    /// Value files may be waiting to be unlinked if this is beyond `synced`: the tail of the last transaction that replaced one.
    @inline(__always) var deadFiles: SharedWord { SharedWord(base, 120) }
    @inline(__always) var making: SharedWord { SharedWord(base, 128) }
    @inline(__always) var beyond: SharedWord { SharedWord(base, 136) }
    /// Bytes of replaced value files that wait for a sync; a hint.
    @inline(__always) var deadFileBytes: SharedWord { SharedWord(base, 152) }
    /// The same as a number to count with: no check covers the word, and what no store can have counts as none.
    var deadBytes: Int {
        let bytes = deadFileBytes.relaxed()
        return bytes < Self.mostBytes ? Int(bytes) : 0
    }
    /// More than any store takes. Sums and multiples of as much are numbers still.
    static let mostBytes: UInt64 = 1 << 56
    /// See `Log+Spare`.
    @inline(__always) var spareSegment: SharedWord { SharedWord(base, 160) }
    /// Value files that records from here on replaced may be in place still, though `synced` has passed them: a snapshot was in the way.
    /// 0: none. Stored with the lock on `sync`.
    @inline(__always) var deadFrom: SharedWord { SharedWord(base, 168) }
    /// 1: the index was made again, and nobody has looked since for value files that no record names.
    @inline(__always) var unswept: SharedWord { SharedWord(base, 176) }
    /// Bytes that compaction has given back a second lately, whichever process did it: a hint. 0: not known.
    @inline(__always) var compactionSpeed: SharedWord { SharedWord(base, 184) }
    @inline(__always) var wantedTrees: SharedWord { SharedWord(base, 144) }
    static let identityOffset = 512
    static let sealOffset = 640
    static let statisticsOffset = 1024

    /// *Alone, after another boot.* Forgets every word that isn't covered by a check, but for `synced`: a power loss may have
    /// left anything in them. A poison goes too, since what is read now comes from the disk and not from lost pages; in the boot in
    /// which it came it is kept (`keepsPoison`).
    func forgetHints(synced position: Position, keepsPoison: Bool) {
        let hints = [
            floor, modes, syncing, knocks, owner, active, deadFiles, making, beyond, wantedTrees, deadFileBytes,
            spareSegment, compactionSpeed,
        ]
        if !keepsPoison { poison.store(0) }
        for word in hints + [SharedWord(base, 96), SharedWord(base, 104)] { word.store(0) }
        synced.store(position)
    }

    @inline(__always) static func tail(_ word: UInt64) -> Position { word & ~3 }
    @inline(__always) static func slot(_ word: UInt64) -> UInt64 { word & 1 }

    @inline(__always) private func counter(_ slot: UInt64, _ index: Int) -> SharedWord {
        SharedWord(base, 256 &+ Int(slot) &* 128 &+ index &* 8)
    }

    /// What a commit makes known beside the tail.
    struct Counters: Equatable, Sendable {
        /// Rows: keys that are not deleted, expired ones included.
        var count: UInt64 = 0
        /// Bytes that the rows are accounted with, files included.
        var live: UInt64 = 0
        /// Bytes of the log that no slot names any more.
        var dead: UInt64 = 0
        /// Bytes of value files that rows name, rounded up to 4 KiB each.
        var fileBytes: UInt64 = 0
        var nextRowid: UInt64 = 1
        /// Milliseconds since the epoch; stored times never go back.
        var lastStoredTime: UInt64 = 0
        /// A lower bound of the earliest expiry, microseconds since 1970.
        var earliestExpiry: UInt64 = UInt64(Int64.max)
        /// The position of the last record below T; 0: none.
        var lastRecord: Position = 0
        /// The position of the settings record; 0: defaults.
        var settings: Position = 0

        /// `live` and `fileBytes` as numbers to count with: what records say of their files may be anything.
        var liveBytes: Int { Int(min(live, CommitBlock.mostBytes)) }
        var bytesOfFiles: Int { Int(min(fileBytes, CommitBlock.mostBytes)) }

        @inline(__always) func check(_ tail: Position, head: Position) -> UInt64 {
            func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { (x &<< n) | (x &>> (64 &- n)) }
            var sum = tail ^ rotate(head, 61) ^ 0x9E37_79B9_7F4A_7C15
            sum ^= rotate(count, 1) ^ rotate(live, 7) ^ rotate(dead, 13) ^ rotate(fileBytes, 19)
            sum ^= rotate(nextRowid, 29) ^ rotate(lastStoredTime, 37)
            sum ^= rotate(earliestExpiry, 41) ^ rotate(lastRecord, 47) ^ rotate(settings, 53)
            return sum
        }
    }

    /// The consistent block: word, head and counters of one commit.
    @inline(never)
    func read() -> (word: UInt64, head: Position, counters: Counters, isIntact: Bool) {
        while true {
            let before = word.acquire()
            let slot = Self.slot(before)
            let (counters, check) = load(slot)
            let head = self.head(slot).relaxed()
            SharedMemory.acquireFence()
            if word.relaxed() == before || Mutant.isPlanted(.noReload) {
                return (before, head, counters, check == counters.check(Self.tail(before), head: head))
            }
        }
    }

    @inline(__always) private func load(_ slot: UInt64) -> (Counters, UInt64) {
        var c = Counters()
        c.count = counter(slot, 0).relaxed()
        c.live = counter(slot, 1).relaxed()
        c.dead = counter(slot, 2).relaxed()
        c.fileBytes = counter(slot, 3).relaxed()
        c.nextRowid = counter(slot, 4).relaxed()
        c.lastStoredTime = counter(slot, 5).relaxed()
        c.earliestExpiry = counter(slot, 6).relaxed()
        c.lastRecord = counter(slot, 7).relaxed()
        c.settings = counter(slot, 8).relaxed()
        return (c, counter(slot, 9).relaxed())
    }

    /// Makes `tail`, `head` and `counters` hold, at one instant. Only the holder of the write lock may call it.
    @inline(__always)
    func publish(tail: Position, head newHead: Position, _ c: Counters) {
        let slot = 1 &- Self.slot(word.relaxed())
        if Mutant.isPlanted(.wordFirst) { word.release(tail | slot) }
        counter(slot, 0).store(c.count)
        counter(slot, 1).store(c.live)
        counter(slot, 2).store(c.dead)
        counter(slot, 3).store(c.fileBytes)
        counter(slot, 4).store(c.nextRowid)
        counter(slot, 5).store(c.lastStoredTime)
        counter(slot, 6).store(c.earliestExpiry)
        counter(slot, 7).store(c.lastRecord)
        counter(slot, 8).store(c.settings)
        counter(slot, 9).store(c.check(tail, head: newHead))
        head(slot).store(newHead)
        FaultPoint.reach(.countersWritten)
        word.release(tail | slot)
        // The next commit's stores into the other slot must not be seen before this word.
        SharedMemory.releaseFence()
        FaultPoint.reach(.committed)
    }
}

/// Who a store is: 128 bytes in `meta`, written once.
///
/// ```
///   0  magic 8        89 'D' 'C' 'M' 0D 0A 1A 0A
///   8  format 4       1
///  12  reserved 4     0
///  16  store id 16    random
///  32  salt 8         random; seeds every record's checksum
///  40  epoch 8        milliseconds since 1970 from which stored times count
///  48  boot 16        two XXH64 of the boot's identity, as of when the views were last known to be right
///  64  device 8       of the directory, as of then
///  72  inode 8
///  80  reserved 40    0
/// 120  check 8        XXH64 of bytes 0 to 119, seed 0
/// ```
struct StoreIdentity: Sendable {
    static let size = 128
    static let magic: UInt64 = 0x0A1A_0A0D_4D43_4489

    var format: UInt32
    var storeID: (UInt64, UInt64)
    var salt: UInt64
    var epoch: Int64
    var boot: (UInt64, UInt64)
    var device: UInt64
    var inode: UInt64

    /// The two words that stand for a boot identity; zeros for one that couldn't be read, which equals nothing.
    static func bootWords(_ text: String) -> (UInt64, UInt64) {
        if text.isEmpty { return (0, 0) }
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { (XXH64.hash($0, seed: 1) | 1, XXH64.hash($0, seed: 2) | 1) }
    }

    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { raw in
            func put(_ value: UInt64, _ at: Int) {
                raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
            }
            put(Self.magic, 0)
            put(UInt64(format), 8)
            put(storeID.0, 16)
            put(storeID.1, 24)
            put(salt, 32)
            put(UInt64(bitPattern: epoch), 40)
            put(boot.0, 48)
            put(boot.1, 56)
            put(device, 64)
            put(inode, 72)
            put(XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0), 120)
        }
        return bytes
    }

    init(
        storeID: (UInt64, UInt64), salt: UInt64, epoch: Int64, boot: (UInt64, UInt64), device: UInt64, inode: UInt64
    ) {
        format = EngineVersion.format
        self.storeID = storeID
        self.salt = salt
        self.epoch = epoch
        self.boot = boot
        self.device = device
        self.inode = inode
    }

    /// nil if the bytes aren't a whole identity. A newer format is given back as it stands, for the caller to refuse.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        func word(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        guard word(0) == Self.magic,
            word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: bytes[0..<120]), seed: 0)
        else { return nil }
        format = UInt32(truncatingIfNeeded: word(8))
        storeID = (word(16), word(24))
        salt = word(32)
        epoch = Int64(bitPattern: word(40))
        boot = (word(48), word(56))
        device = word(64)
        inode = word(72)
    }
}
