#!/usr/bin/env python3
"""Reads a DiskCache store of format 1 that nobody has open. Written from FORMAT.md alone; needs nothing but Python 3.8.

    reader.py STORE                     rows and verdict, as JSON, from the log
    reader.py STORE --same-boot         the same, believing that `meta` is of this boot
    reader.py STORE --via-index         rows, each found through the hash index
    reader.py STORE --lookup FILE       looks keys up through the hash index; FILE: a line `class hex` for each
    reader.py STORE --hints             whether each hint says what its segment holds
    reader.py --hash ID CLASS KEY       the key hash; all but the class in hexadecimal
    reader.py --xxh64 SEED BYTES        the checksum; BYTES in hexadecimal
    reader.py --batch                   arguments from the input, a line each, by tabs; ends what it prints with a 0 byte
"""

import json
import os
import re
import stat
import struct
import sys

M = (1 << 64) - 1
M40 = (1 << 40) - 1


# FORMAT.md 4: checksums

P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rot(x, n):
    return ((x << n) | (x >> (64 - n))) & M


def _round(lane, word):
    return rot((lane + word * P2) & M, 31) * P1 & M


def xxh64(data, seed=0):
    n = len(data)
    p = 0
    if n >= 32:
        lanes = [(seed + P1 + P2) & M, (seed + P2) & M, seed & M, (seed - P1) & M]
        while p + 32 <= n:
            for i, word in enumerate(struct.unpack_from("<4Q", data, p)):
                lanes[i] = _round(lanes[i], word)
            p += 32
        h = (rot(lanes[0], 1) + rot(lanes[1], 7) + rot(lanes[2], 12) + rot(lanes[3], 18)) & M
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * P1 + P4) & M
    else:
        h = (seed + P5) & M
    h = (h + n) & M
    while p + 8 <= n:
        h = (rot(h ^ _round(0, struct.unpack_from("<Q", data, p)[0]), 27) * P1 + P4) & M
        p += 8
    if p + 4 <= n:
        h = (rot(h ^ (struct.unpack_from("<I", data, p)[0] * P1 & M), 23) * P2 + P3) & M
        p += 4
    while p < n:
        h = rot(h ^ (data[p] * P5 & M), 11) * P1 & M
        p += 1
    h = (h ^ (h >> 33)) * P2 & M
    h = (h ^ (h >> 29)) * P3 & M
    return h ^ (h >> 32)


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def is_checked(data, magic):
    """Magic and check of the 128 bytes that begin segments, indexes, identities and seals."""
    return len(data) >= 128 and data[:8] == magic and u64(data, 120) == xxh64(data[:120])


def magic(letters):
    return b"\x89" + letters + b"\r\n\x1a\n"


# FORMAT.md 3: packed positions


def complete_below(packed, own):
    if packed == 0:
        return 0
    u = own // 4
    distance = (u - packed) & M40
    return (u - distance) * 4 if 0 < distance <= u else 0


def complete_around(packed, near):
    u = near // 4
    d = (packed - u) & M40
    if d >= 1 << 39:
        d -= 1 << 40
    return (u + d) * 4


# FORMAT.md 5: segments


class Segment:
    def __init__(self, data):
        self.data = data
        self.salt = u64(data, 16)
        self.store_id = bytes(data[24:40])
        self.first = u64(data, 40)
        self.length = u64(data, 48)
        self.predecessor = u64(data, 56)
        self.predecessor_end = u64(data, 64)
        self.head = u64(data, 72)
        self.epoch = struct.unpack_from("<q", data, 88)[0]
        self.end = None  # where its records end, as its successor says
        self.below_gap = False

    @property
    def first_record(self):
        return self.first + 128

    @property
    def limit(self):
        return self.first + self.length

    def is_whole(self):
        return (
            u64(self.data, 8) == 1
            and self.first % 65536 == 0
            and self.length % 65536 == 0
            and 0 < self.length <= 1 << 26
            and self.first < 1 << 62
            and self.first % (1 << 26) + self.length <= 1 << 26
        )


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def is_regular(path):
    return stat.S_ISREG(os.lstat(path).st_mode)


def read_segments(store, store_id):
    """All believed segments, the highest first, and where the gaps end."""
    log = os.path.join(store, "log")
    names = os.listdir(log) if os.path.isdir(log) else []
    names = [name for name in names if re.fullmatch(r"[0-9a-f]{16}\.seg", name)]
    believed, gaps = [], []
    for name in sorted(names, reverse=True):
        path = os.path.join(log, name)
        data = read_file(path) if is_regular(path) else b"?"
        if is_checked(data, magic(b"DCS")):
            segment = Segment(data)
            if segment.is_whole() and segment.first == int(name[:16], 16):
                if store_id is None:
                    store_id = segment.store_id
                if segment.store_id == store_id:
                    believed.append(segment)
                    continue
        if any(data[:128]) and not believed:
            gaps.append(int(name[:16], 16) + len(data))
    return believed, gaps


def chain(believed, gaps, before=M):
    """The segments of the log, upwards, and the head as far as headers tell it. From `before` on nothing counts."""
    if not believed:
        return [], 0
    claiming = believed[0]
    head = claiming.head
    missing = []
    links = follow(believed, head, missing)
    while head >= before or not is_proved(believed, head):
        below = [s for s in believed if s.first == claiming.predecessor]
        if not below:
            break
        lower, more = below[0].head, []
        longer = follow(believed, lower, more)
        named = heads_in(below[0], more, before, claiming.predecessor_end)
        if named > lower:
            lower, more = named, []
            longer = follow(believed, lower, more)
        if head < before and len(more) > len(missing):
            break
        claiming, head, links, missing = below[0], lower, longer, more
    links = follow(believed, head, gaps)
    return links, head


def is_proved(believed, head):
    """Whether a head is that of a clear whose transaction is whole."""
    if head == 0:
        return True
    segment = next((s for s in believed if s.first <= head), None)
    if not segment or head < segment.first_record:
        return False
    # Nothing counts behind where its successor says that it ends: a recovery cut the log there.
    successor = next((s for s in believed if s.predecessor == segment.first), None)
    end = successor.predecessor_end if successor else M
    position, stop = head, min(segment.first + len(segment.data), segment.limit, end)
    while True:
        record = Record.at(segment.data, position - segment.first, position, stop - position, segment.salt)
        if not record or not record.is_intact:
            return False
        if position == head and (record.kind != HEAD or u64(record.value, 0) != head):
            return False
        if record.commit:
            return True
        position = record.end


def heads_in(segment, gaps, before, end=M):
    """The greatest clear that whole transactions of a segment hold up to its end, or the least other head that closes the gaps below it."""
    position, cleared, moved, pending = segment.first_record, 0, [], None
    stop = min(segment.first + len(segment.data), segment.limit, end)
    while True:
        record = Record.at(segment.data, position - segment.first, position, stop - position, segment.salt)
        if not record or not record.is_intact:
            break
        word = u64(record.value, 0) if len(record.value) >= 8 else 0
        if record.kind == HEAD:
            pending = (record.position, min(word, record.position))
        if record.kind == VOID and pending and word <= pending[0]:
            pending = None
        if record.commit:
            if pending and pending[0] >= before:
                pending = None
            if pending and pending[0] == pending[1]:
                cleared = max(cleared, pending[1])
            elif pending:
                moved.append(pending[1])
            pending = None
        position = record.end
    missing = max((gap for gap in gaps if gap <= segment.first), default=0)
    if missing <= max(cleared, segment.head):
        return cleared
    return max([cleared] + sorted(head for head in moved if head >= missing)[:1])


def follow(believed, head, gaps):
    """The chain from the newest segment down to the one in which a head lies, upwards."""
    for segment in believed:
        segment.end, segment.below_gap = None, False
    current = believed[0]
    links = [current]
    while current.first > head and current.predecessor != 0:
        below = [s for s in believed if s.first == current.predecessor]
        if below:
            below[0].end = current.predecessor_end
        else:
            if current.predecessor_end > head:
                gaps.append(current.predecessor_end)
            below = [s for s in believed if s.first < current.predecessor][:1]
            if not below:
                break
            below[0].below_gap = True
        current = below[0]
        links.append(current)
    return links[::-1]


# FORMAT.md 6: records

PUT, TOMBSTONE, COMMIT, VOID, HEAD, SYSTEM = range(1, 7)


class Record:
    """What stands at `position` if it has the form of a record; `is_intact` tells whether it is one."""

    @staticmethod
    def at(data, offset, position, available, salt):
        if available < 24:
            return None
        self = Record()
        check, bits, key, value = struct.unpack_from("<IHBH", data, offset)
        self.position = position
        self.kind = bits & 7
        self.commit = bits >> 3 & 1
        wide, expiry, tag = bits >> 6 & 1, bits >> 7 & 1, bits >> 8 & 1
        self.form = bits >> 9 & 15
        self.key_class = bits >> 13
        if not 1 <= self.kind <= 6:
            return None
        at = 24
        if wide:
            if key or value or available < 32:
                return None
            key, value = struct.unpack_from("<II", data, offset + 24)
            if key > 1 << 24 or value > 1 << 24:
                return None
            at = 32
        self.expiry = None
        if expiry:
            if at + 8 > available:
                return None
            self.expiry = struct.unpack_from("<q", data, offset + at)[0]
            at += 8
        self.tag = None
        if tag:
            if at + 3 > available:
                return None
            form, count = struct.unpack_from("<BH", data, offset + at)
            at += 3
            if at + count > available:
                return None
            self.tag = (form, bytes(data[offset + at : offset + at + count]))
            at += count
        if at + key + value > available:
            return None
        self.key = bytes(data[offset + at : offset + at + key])
        at += key
        self.value = bytes(data[offset + at : offset + at + value])
        at += value
        self.end = position + (at + 3) // 4 * 4
        self.previous = complete_below(int.from_bytes(data[offset + 9 : offset + 14], "little"), position)
        self.rowid = int.from_bytes(data[offset + 14 : offset + 19], "little")
        self.stored = int.from_bytes(data[offset + 19 : offset + 24], "little")
        wanted = xxh64(bytes(data[offset + 4 : offset + at]), (salt + position) & M) & 0xFFFFFFFF
        self.is_intact = check == (wanted or 1)
        return self

    def has_file(self):
        return self.kind == PUT and 6 <= self.form <= 8

    def has_slot(self):
        return self.kind in (PUT, TOMBSTONE) or (self.kind == SYSTEM and self.key != b"settings")

    def identity(self):
        return (1 if self.key_class == 2 else self.key_class, self.key)


class Damage:
    """Bytes that are no record; `found`: what has the form of one."""

    kind = 0

    def __init__(self, position, end, found):
        self.position, self.end, self.found = position, end, found


# FORMAT.md 12: meta


class Meta:
    """A whole `meta`."""

    @staticmethod
    def read(store):
        path = os.path.join(store, "meta")
        if not os.path.lexists(path) or not is_regular(path):
            return None
        data = read_file(path)
        if len(data) < 4096 or not is_checked(data[512:640], magic(b"DCM")):
            return None
        self = Meta()
        self.format = struct.unpack_from("<I", data, 520)[0]
        self.store_id = bytes(data[528:544])
        self.salt = u64(data, 544)
        self.epoch = struct.unpack_from("<q", data, 552)[0]
        word = u64(data, 0)
        self.word, self.tail, slot = word, word & ~3, word & 1
        self.head = u64(data, 8 + 8 * slot)
        self.index_generation = u64(data, 24)
        self.synced = u64(data, 64)
        about = os.stat(store)
        self.is_on_device = u64(data, 576) == about.st_dev
        self.is_in_place = u64(data, 584) == about.st_ino
        counters = struct.unpack_from("<10Q", data, 256 + 128 * slot)
        self.count = counters[0]
        check = self.tail ^ rot(self.head, 61) ^ 0x9E3779B97F4A7C15
        for counter, by in zip(counters, (1, 7, 13, 19, 29, 37, 41, 47, 53)):
            check ^= rot(counter, by)
        self.is_intact = check == counters[9]
        seal = data[640:768]
        self.seal = None
        if seal[:8] == b"sealed\0\0" and u64(seal, 120) == xxh64(seal[:120]):
            words = struct.unpack_from("<5Q", seal, 8)
            if words[0] == word and words[2] == self.index_generation:
                self.seal = words
        return self


# FORMAT.md 10 and 11: reading a log


class Refused(Exception):
    pass


class Store:
    def __init__(self, path, same_boot):
        self.path = path
        self.meta = Meta.read(path)
        if self.meta and self.meta.format > 1:
            raise Refused("newer format")
        believed, torn = read_segments(path, self.meta.store_id if self.meta else None)
        if not self.meta and not believed and torn:
            raise Refused("damaged headers")
        self.bounds(believed, torn)
        self.salt = self.meta.salt if self.meta else self.links[-1].salt if self.links else 0
        self.epoch = self.meta.epoch if self.meta else self.links[-1].epoch if self.links else 0
        is_known = False
        self.believed_end = 0
        if self.meta:
            if same_boot and self.meta.is_intact and self.meta.is_in_place and self.meta.is_on_device:
                self.believed_end = self.meta.tail
                self.head = max(self.head, self.meta.head)
                is_known = True
            elif self.meta.is_intact and self.meta.synced <= self.meta.tail:
                if self.meta.seal or self.meta.is_in_place and (self.meta.is_on_device or not same_boot):
                    self.believed_end = self.meta.synced
        before = M
        self.scan()
        while not is_known and not self.proves_head():
            begin, end = self.begin, self.end
            self.bounds(believed, torn, end)
            if self.head < begin and all(gap <= self.head for gap in self.gaps):
                before = end
                self.scan()
                continue
            # What lay below isn't there.
            self.bounds(believed, torn, before)
            self.scan()
            self.gaps.append(begin)
            break

    def bounds(self, believed, torn, before=M):
        """Which segments are the log, and where it begins. From `before` on nothing counts."""
        self.gaps = list(torn)
        self.links, self.head = chain(believed, self.gaps, before)
        if len(self.links) > 1 or self.gaps and self.links:
            self.head = max(self.head, heads_in(self.links[-1], self.gaps, before))

    def proves_head(self):
        """Whether a record that counts says that the log begins where the reading began."""
        if self.begin == 0 or self.told >= self.begin or self.quarantined or self.gaps:
            return True
        lowest = [s for s in self.links if s.first <= self.begin]
        return not lowest or lowest[-1].predecessor == 0 and self.begin <= lowest[-1].first_record

    def scan(self):
        self.quarantined = []
        self.cut = None
        self.versions = {}
        self.system = {}
        self.begin, self.told = self.head, 0
        pending = []
        held = []
        end = self.head
        position = self.head
        torn = False
        is_cut = False
        below_gap = True
        for index, segment in enumerate(self.links):
            if segment.limit <= self.head:
                continue
            lost = segment.predecessor_end if segment.predecessor else 0
            if below_gap and lost > position and lost > self.believed_end:
                is_cut = True
                break
            below_gap = segment.end is None
            is_newest = index == len(self.links) - 1
            position = max(position, segment.first_record)
            # Where the records end, and how far there are bytes to read.
            file_end = min(segment.first + len(segment.data), segment.limit)
            named = file_end if segment.end is None else min(segment.end, segment.limit)
            stop = min(named, file_end)
            while position < named:
                record = self.record_in(segment, position, stop)
                if record and record.is_intact:
                    if record.position >= self.believed_end:
                        pending, end = self.apply_committed(pending, end)
                    if record.kind == VOID:
                        voided = self.word(record)
                        pending = [r for r in pending if r.position < voided]
                    pending.append(record)
                    position = record.end
                    if record.commit:
                        if position <= self.believed_end:
                            self.apply(pending)
                            end = position
                        else:
                            held.append((pending, position))
                        pending = []
                    continue
                if position >= self.believed_end:
                    torn = True
                    break
                if segment.below_gap:
                    break
                limit = min(named, self.believed_end)
                begin = position
                position += 4
                while position < limit:
                    found = self.record_in(segment, position, stop)
                    if found and found.is_intact:
                        break
                    position += 4
                position = min(position, limit)
                self.quarantined.append([begin, position])
                pending.append(Damage(begin, position, record))
            if torn:
                rest = segment.data[position - segment.first :]
                if not is_newest or any(rest):
                    is_cut = True
                break
            if is_newest and position < segment.limit:
                is_cut = True
        pending, end = self.apply_committed(pending, end)
        count = self.whole_transactions(held)
        for records, behind in held[:count]:
            self.apply(records)
            end = behind
        if is_cut or pending or count < len(held):
            self.cut = end
        self.end = end
        # What lay below the head may be gone rightly.
        self.gaps = [gap for gap in self.gaps if gap > self.head]

    def apply_committed(self, pending, end):
        """All that is pending below the believed end was committed."""
        if not pending or pending[0].position >= self.believed_end:
            return pending, end
        self.apply(pending)
        return [], max(end, pending[-1].end)

    def whole_transactions(self, held):
        count = len(held)
        while True:
            newest = {}
            for number, (records, _) in enumerate(held[:count]):
                for record in records:
                    if record.kind in (PUT, TOMBSTONE):
                        newest[record.identity()] = (number, record)
                    elif record.kind == HEAD:
                        head = self.word(record)
                        newest = {key: value for key, value in newest.items() if value[1].position >= head}
            bad = [n for n, r in newest.values() if r.has_file() and self.value_file(r.value) is None]
            if not bad:
                return count
            count = min(bad)

    def record_in(self, segment, position, stop):
        return Record.at(segment.data, position - segment.first, position, stop - position, self.salt)

    @staticmethod
    def word(record):
        return u64(record.value, 0) if len(record.value) >= 8 else 0

    def apply(self, records):
        for record in records:
            if record.kind == 0:
                if record.found and record.found.has_slot():
                    self.damage(record.found)
            elif record.has_slot():
                self.versions[record.identity()] = record
            elif record.kind == HEAD:
                self.told = max(self.told, self.word(record))
                self.head = max(self.head, self.told)
            elif record.kind == SYSTEM:
                self.system[record.key] = record

    def damage(self, record):
        for identity, newest in self.versions.items():
            if record.previous and newest.is_intact and record.previous in (newest.position, newest.previous):
                self.versions[identity] = record
                return
        if record.identity() in self.versions:
            self.versions[record.identity()] = record

    def damaged(self):
        # Records of queues are made again from the items.
        found = (key for key, record in self.versions.items() if not record.is_intact and key[0] != 7)
        return sorted(key for key in found if self.versions[key].position >= self.head)

    def rows(self):
        found = [r for r in self.versions.values() if r.kind == PUT and r.position >= self.head and r.is_intact]
        return [self.row(r) for r in sorted(found, key=Record.identity)]

    # FORMAT.md 9: queues

    def queues(self):
        found = {}
        for identity, record in self.versions.items():
            if record.kind == SYSTEM and record.position >= self.head and record.is_intact:
                found[identity[1][5:]] = struct.unpack("<4QB", record.value)
        if self.quarantined or self.gaps:
            items = {}
            for (key_class, key), record in self.versions.items():
                if key_class == 6 and record.kind == PUT and record.position >= self.head and record.is_intact:
                    number = struct.unpack(">Q", key[-8:])[0] - (1 << 63)
                    items.setdefault(key[:-8], []).append(number)
            maxima = {prefix: ends[3] for prefix, ends in found.items() if ends[3]}
            found = {prefix: (0, 0, 0, maximum, 0) for prefix, maximum in maxima.items()}
            for prefix, numbers in items.items():
                found[prefix] = (min(numbers), max(numbers), len(numbers), maxima.get(prefix, 0), 0)
        names = ("front", "back", "count", "maximum", "open")
        return [{"prefix": prefix.hex(), **dict(zip(names, ends))} for prefix, ends in sorted(found.items())]

    def row(self, record):
        value = record.value
        if record.has_file():
            value = self.value_file(value)
        tag = record.tag and {"form": record.tag[0], "bytes": record.tag[1].hex()}
        return {
            "class": record.key_class,
            "key": record.key.hex(),
            "form": record.form,
            "value": None if value is None else value.hex(),
            "expiry": record.expiry,
            "tag": tag,
            "rowid": record.rowid,
            "stored": (record.stored + self.epoch) * 1000,
        }

    # FORMAT.md 18: value files

    def value_file(self, reference):
        if len(reference) != 32:
            return None
        name = reference[:16].hex()
        path = os.path.join(self.path, "files", name[:2], name[2:4], name[4:] + ".val")
        if not os.path.lexists(path) or not is_regular(path):
            return None
        data = read_file(path)
        if len(data) != u64(reference, 16) or xxh64(data) != u64(reference, 24):
            return None
        return data


# FORMAT.md 26: hints


def hint_is_right(store, segment):
    """None: the segment has no hint. Else whether every byte of it is what the segment calls for."""
    path = os.path.join(store.path, "log", "%016x.hint" % segment.first)
    if not os.path.exists(path):
        return None
    data = read_file(path)
    entries, count, last, position = b"", 0, 0, segment.first_record
    key_hash = KeyHash(segment.store_id)
    while segment.end and position < segment.end:
        record = store.record_in(segment, position, segment.end)
        if not record or not record.is_intact:
            return False
        offset = position - segment.first
        hashed = key_hash(*record.identity()) if record.has_slot() else 0
        entries += struct.pack("<QI", hashed, record.end - position)
        entries += segment.data[offset + 4 : offset + 6] + segment.data[offset + 14 : offset + 24]
        if record.expiry is not None:
            entries += struct.pack("<q", record.expiry)
        last = struct.unpack_from("<I", segment.data, offset)[0]
        count += 1
        position = record.end
    header = magic(b"DCH") + struct.pack("<IIQ", 1, 0, segment.salt) + segment.store_id
    header += struct.pack("<4QI", segment.first, segment.end or 0, count, u64(segment.data, 120), last)
    header += bytes(112 - len(header)) + struct.pack("<Q", xxh64(entries, (segment.salt + segment.first) & M))
    return data == header + struct.pack("<Q", xxh64(header)) + entries


# FORMAT.md 13: hash index


class KeyHash:
    def __init__(self, store_id):
        self.k = [xxh64(store_id + struct.pack("<Q", n), 0x6B65796861736800 + n) | 1 for n in range(5)]

    @staticmethod
    def fold(a, b):
        product = a * b
        return (product >> 64) ^ (product & M)

    def __call__(self, key_class, key):
        k = self.k
        a = b = 0
        if key:
            state = k[0]
            p = 0
            while len(key) - p > 16:
                state = (self.fold(u64(key, p) ^ k[1], u64(key, p + 8) ^ state) + k[4]) & M
                p += 16
            r = len(key) - p
            if r >= 8:
                a, b = u64(key, p), u64(key, p + r - 8)
            elif r >= 4:
                a = struct.unpack_from("<I", key, p)[0]
                b = struct.unpack_from("<I", key, p + r - 4)[0]
            else:
                a = key[p] << 16 | key[p + r // 2] << 8 | key[p + r - 1]
            a ^= state
        inner = self.fold(a ^ k[1], b ^ k[2])
        last = ((len(key) << 8 | key_class) + k[4]) & M
        return self.fold(inner ^ k[3], last ^ (inner * k[0] & M))


class Index:
    def __init__(self, store):
        self.store = store
        path = os.path.join(store.path, "index.%d" % store.meta.index_generation)
        self.data = data = read_file(path)
        if not is_checked(data, magic(b"DCI")) or u64(data, 8) != 1:
            raise Refused("not an index")
        if data[16:32] != store.meta.store_id or u64(data, 32) != store.meta.index_generation:
            raise Refused("another index")
        self.hash = KeyHash(store.meta.store_id)
        self.covered = u64(data, 136)
        root = u64(data, 128)
        self.depth, self.run = root & 0xFF, root >> 8
        self.segments = store.links

    def record(self, position):
        for segment in self.segments:
            if segment.first_record <= position < segment.limit:
                stop = min(segment.limit, segment.first + len(segment.data))
                record = self.store.record_in(segment, position, stop)
                return record if record and record.is_intact else None
        return None

    def find(self, key_class, key):
        identity = 1 if key_class == 2 else key_class
        h = self.hash(identity, key)
        number = (h >> 16) & ((1 << self.depth) - 1)
        entry = struct.unpack_from("<I", self.data, self.run * 4096 + number * 4)[0]
        page, depth = entry >> 6, entry & 63
        fingerprint = (h >> (16 + (depth & ~7))) & 0x3FFFFF
        home = ((h & 0xFFFF) * 63) >> 16
        step = 1 + ((fingerprint >> 17) * 20 >> 5)
        for x in range(4):
            bucket = (home + x * step) % 63
            slots = struct.unpack_from("<8Q", self.data, page * 4096 + 64 + bucket * 64)
            for slot in slots:
                if slot < 2 or slot >> 40 != (fingerprint << 2 | x):
                    continue
                position = complete_around(slot & M40, self.store.meta.tail)
                if position < self.store.meta.head:
                    continue
                record = self.record(position)
                # A record that nobody committed: the version before it counts.
                while record and record.position >= self.store.meta.tail:
                    older = record.previous
                    record = self.record(older) if 0 < older < record.position else None
                if record and record.identity() == (identity, key):
                    if record.position < self.store.meta.head:
                        return None
                    return record if record.kind == PUT else None
            if 0 in slots:
                break
        return None


# Output


def show(value):
    return json.dumps(value, separators=(",", ":"))


def show_rows(rows):
    return "[" + ",".join("\n  " + show(row) for row in rows) + ("\n " if rows else "") + "]"


def report(store):
    verdict = "whole"
    if store.gaps:
        verdict = "gap"
    elif store.quarantined:
        verdict = "quarantined"
    elif store.cut is not None:
        verdict = "cut"
    settings = store.system.get(b"settings")
    print("{")
    print(' "verdict":%s,' % show(verdict))
    print(' "cut":%s,' % show(store.cut))
    print(' "quarantined":%s,' % show(store.quarantined))
    print(' "gaps":%s,' % show(len(store.gaps)))
    print(' "damaged":%s,' % show([{"class": c, "key": key.hex()} for c, key in store.damaged()]))
    print(' "settings":%s,' % show(settings and settings.value.hex()))
    if store.queues():
        print(' "queues":%s,' % show(store.queues()))
    print(' "rows":%s' % show_rows(store.rows()))
    print("}")


def main(arguments):
    if arguments[0] == "--batch":
        for line in sys.stdin:
            main(line.rstrip("\n").split("\t"))
            print(end="\0")
        return
    if arguments[0] == "--hash":
        print("%016x" % KeyHash(bytes.fromhex(arguments[1]))(int(arguments[2]), bytes.fromhex(arguments[3])))
        return
    if arguments[0] == "--xxh64":
        print("%016x" % xxh64(bytes.fromhex(arguments[2]), int(arguments[1], 16)))
        return
    try:
        store = Store(arguments[0], "--same-boot" in arguments)
        if "--hints" in arguments:
            found = {"%016x" % s.first: hint_is_right(store, s) for s in store.links}
            print(json.dumps({name: right for name, right in found.items() if right is not None}, sort_keys=True))
        elif "--via-index" in arguments:
            index = Index(store)
            rows = [index.find(*key) for key in sorted(store.versions)]
            print(show_rows([store.row(record) for record in rows if record]))
        elif "--lookup" in arguments:
            index = Index(store)
            for line in open(arguments[arguments.index("--lookup") + 1]):
                key_class, _, key = line.rstrip("\n").partition(" ")
                record = index.find(int(key_class), bytes.fromhex(key))
                print(show(record and store.row(record)))
        else:
            report(store)
    except Refused as refusal:
        print('{\n "refused":%s\n}' % show(str(refusal)))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
