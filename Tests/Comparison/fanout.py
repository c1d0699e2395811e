"""The comparison of FanoutCache: DiskCache's, and which shard of ours a key lies in, worked out anew from FORMAT.md."""

import os
import struct
import sys

import diskcache

from differences import differ
from operations import CLASSES, Difference
from sides import Theirs

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "FormatTests"))
from reader import xxh64  # noqa: E402

SHARDS = 8


class TheirFanout(Theirs):
    """DiskCache's FanoutCache. It has no queues, and no sorted keys but those of its shards."""

    # Both sides wait: there is nobody to wait for.
    settings = {"timeout": 60}
    lacks = ("push", "pull", "peek", "peekItem")

    def open(self, directory, **settings):
        return diskcache.FanoutCache(directory, shards=SHARDS, timeout=60, **settings)

    @property
    def shards(self):
        return self.cache._shards

    def shard(self, key):
        return self.shards[self.shard_number(key)]

    def shard_number(self, key):
        return self.cache._hash(self.key(key)) % SHARDS

    def key(self, key):
        """Equal numbers are one key ("numbers in shards")."""
        return self.canonical(super().key(key))

    def canonical(self, key):
        if type(key) is float and key.is_integer() and -2**63 <= key < 2**63:
            differ("numbers in shards")
            return int(key)
        return key

    def arranged(self, elements, key=lambda element: element):
        """Elements by the shards of both sides ("order of shards")."""
        places = [(our_shard(key(element)), self.shard_number(key(element))) for element in elements]
        if all(numbers != sorted(numbers) for numbers in ([place[side] for place in places] for side in (0, 1))):
            raise Difference(f"not shard by shard: {places}")
        cells = {}
        for place, element in zip(places, elements):
            cells.setdefault(place, []).append(element)
        differ("order of shards")
        return [[list(cell), cells[cell]] for cell in sorted(cells)]

    def sorted_keys(self, reverse=False):
        differ("orders and queues in shards")
        classes = [[] for _ in range(6)]
        for shard in self.shards:
            for key in shard.iterkeys():
                classes[0 if key is None else CLASSES.get(type(key), 4)].append(key)
        classes[1].sort()
        classes[2].sort(key=str.encode)
        classes[3].sort()
        keys = [key for keys in classes for key in keys]
        return keys[::-1] if reverse else keys

    def expire(self, now):
        return sum(shard.expire(now) for shard in self.shards)


def adapt(profiles):
    """Leaves out what is about one shard's size and what writes remove in it ("culling in shards"), and lets small integers be keys."""
    for name in [name for name, profile in profiles.items() if "sizeLimit" in profile]:
        del profiles[name]
    for profile in profiles.values():
        profile.update(unnamed_queue=False, cullLimit=0, by_hand=True)


def our_shard(key):
    key_class, data = encoded(key)
    return (xxh64(data, key_class) >> 32) * SHARDS >> 32


def encoded(key):
    """Class and bytes of a key (FORMAT 7)."""
    if key is None:
        return 0, b""
    if type(key) in (int, float):
        return 1, number(key)
    if type(key) is str:
        return 3, key.encode()
    if type(key) is bytes:
        return 4, key
    return 5, cbor(key)


def number(value):
    """The greatest double that isn't above a number, made sortable, and what is missing."""
    floor = float(value)
    if type(value) is int and int(floor) > value:
        bits = struct.unpack(">q", struct.pack(">d", floor))[0]
        floor = struct.unpack(">d", struct.pack(">q", bits - 1 if floor > 0 else bits + 1))[0]
    bits = struct.unpack(">Q", struct.pack(">d", floor + 0.0))[0]
    bits = ~bits & (2**64 - 1) if bits >> 63 else bits | 1 << 63
    low = value - int(floor) if type(value) is int else 0
    return struct.pack(">Q", bits) + (struct.pack(">H", low) if low else b"")


def cbor(value):
    """Deterministic CBOR, as far as the keys of a run need it."""
    def head(major, count):
        for limit, form, code in ((24, None, 0), (2**8, ">B", 24), (2**16, ">H", 25), (2**32, ">I", 26), (2**64, ">Q", 27)):
            if count < limit:
                return bytes([major << 5 | (code or count)]) + (struct.pack(form, count) if form else b"")
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        for form, code in ((">e", 0xF9), (">f", 0xFA), (">d", 0xFB)):
            try:
                data = struct.pack(form, value)
            except OverflowError:
                continue
            if struct.unpack(form, data)[0] == value:
                return bytes([code]) + data
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted((cbor(name), cbor(member)) for name, member in value.items())
    return head(5, len(pairs)) + b"".join(name + member for name, member in pairs)
