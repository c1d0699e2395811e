/// A bucket page that is being filled and that nobody can reach yet: slots may move until it is published.
///
/// Used by splits. It is an array in memory; `write` puts it into the file in one copy.
struct IndexPageImage {
    private(set) var slots = [UInt64](repeating: 0, count: IndexLayout.buckets * IndexLayout.slotsPerBucket)
    private(set) var count = 0
    let depth: Int
    let prefix: UInt64

    init(depth: Int, prefix: UInt64) {
        self.depth = depth
        self.prefix = prefix
    }

    /// Puts a slot of home bucket `home` at the first free place of its buckets; if there is none, moves one of those that
    /// stand in the way to another of its own. False if not even that makes room.
    mutating func insert(fingerprint: UInt64, home: Int, low: UInt64) -> Bool {
        if place(fingerprint, home, low) { return true }
        let step = HashBits.step(fingerprint)
        for displacement in 0..<IndexLayout.probes {
            let bucket = HashBits.bucket(home, step, displacement)
            for index in 0..<IndexLayout.slotsPerBucket {
                let at = bucket * IndexLayout.slotsPerBucket + index
                let other = Slot(raw: slots[at])
                // Taken out first, so that it can't find its own place; it comes back if there is no other.
                slots[at] = Slot.vacant
                count -= 1
                let otherHome = HashBits.home(of: other, in: bucket)
                if placeOutside(bucket, other.fingerprint, otherHome, other.low) {
                    slots[at] = 0
                    return place(fingerprint, home, low)
                }
                slots[at] = other.raw
                count += 1
            }
        }
        return false
    }

    private mutating func place(_ fingerprint: UInt64, _ home: Int, _ low: UInt64) -> Bool {
        placeOutside(-1, fingerprint, home, low)
    }

    private mutating func placeOutside(_ excluded: Int, _ fingerprint: UInt64, _ home: Int, _ low: UInt64) -> Bool {
        let step = HashBits.step(fingerprint)
        for displacement in 0..<IndexLayout.probes {
            let bucket = HashBits.bucket(home, step, displacement)
            if bucket == excluded { continue }
            for index in 0..<IndexLayout.slotsPerBucket {
                let at = bucket * IndexLayout.slotsPerBucket + index
                if slots[at] == 0 {
                    slots[at] = fingerprint << 42 | UInt64(displacement) << 40 | low
                    count += 1
                    return true
                }
            }
        }
        return false
    }

    /// A slot of the same window of hash bits keeps bucket and place: what fitted into one page fits into half of it.
    mutating func keep(_ slot: UInt64, at index: Int) {
        slots[index] = slot
        count += 1
    }

    /// A probe ends at a bucket with a place that was never used, so a slot may stand behind a bucket only if that bucket is
    /// without such a place. Where `insert` moved slots, buckets that are passed over get their empty places marked vacant.
    mutating func markPassedOver() {
        for bucket in 0..<IndexLayout.buckets {
            for index in 0..<IndexLayout.slotsPerBucket {
                let slot = Slot(raw: slots[bucket * IndexLayout.slotsPerBucket + index])
                if slot.isFree || slot.displacement == 0 { continue }
                let home = HashBits.home(of: slot, in: bucket)
                let step = HashBits.step(slot.fingerprint)
                for displacement in 0..<slot.displacement {
                    let passed = HashBits.bucket(home, step, displacement)
                    for place in 0..<IndexLayout.slotsPerBucket
                    where slots[passed * IndexLayout.slotsPerBucket + place] == 0 {
                        slots[passed * IndexLayout.slotsPerBucket + place] = Slot.vacant
                    }
                }
            }
        }
    }

    /// Writes the whole page, header line and buckets.
    func write(to page: UnsafeMutableRawPointer) {
        var header: [UInt64] = [UInt64(depth), prefix, 0, 0, 0, 0, 0, 0]
        header.withUnsafeMutableBytes { SharedMemory.copy($0.baseAddress!, to: page, count: 64) }
        slots.withUnsafeBytes { SharedMemory.copy($0.baseAddress!, to: page + 64, count: $0.count) }
    }
}
