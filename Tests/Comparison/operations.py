"""Random operations, each done on both sides and compared at once. An operation is its name and its arguments, whole, so
that a list of them can be done again without the random numbers that it came from."""

import copy
import shutil

from differences import differ, same
from sides import ABSENT, Entry, QueueKey, Refused, Stream, encode

INTEGERS = [0, -1, -7, -(2**53) - 1, -(2**63), 2**53, 2**53 + 1, 2**63 - 1, 10**15]
SMALL_INTEGERS = list(range(1, 8))
FLOATS = [-0.5, -1.0, float(2**53), 1e300, float("-inf"), float("inf")]
SMALL_FLOATS = [0.5, 1.0, 2.0]
TEXTS = ["", "a", "b", "ab", "abc", "é", "e\u0301", "z" * 40, "\U0001f600", "quote\"\\\n"]
BYTES = [b"", b"a", b"\x00", b"\xff\x80", b"abc"]
SERIALISED = [None, True, False, [], [1, 2], [1.0, 2], ["a", 1], {"a": 1}, {"a": 1, "b": [None]}]
PREFIXES = ["q", "jobs", "é", ""]
TAGS = [None, None, "red", "blue", 1, 1.0, 2.5, b"red", -3]
CLASSES = {int: 1, float: 1, str: 2, bytes: 3, QueueKey: 5}


class Difference(Exception):
    """The sides don't agree."""


class Pair:
    """Both sides, `ours` and `theirs`, in a `directory` that goes with them."""

    def close(self):
        if hasattr(self, "theirs"):
            self.theirs.close()
        status = self.ours.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.close()
        if kind is None and status != 0:
            raise Difference(f"the shell ended with status {status}")


def is_refusal(result):
    """Whether `World.both` gave the code of an error."""
    return isinstance(result, tuple) and len(result) == 2 and result[0] == "refused"


class World:
    """Both sides, and what the next operations need to know."""

    def __init__(self, ours, theirs, clock, profile, knows):
        self.ours, self.theirs, self.clock, self.profile, self.knows = ours, theirs, clock, profile, knows
        self.depth = 0
        # The keys that the open transaction has written, and what they were at the beginning of each of its levels.
        self.written = set()
        self.levels = []

    def both(self, ours, theirs):
        """Does a thing on both sides; the result, or a Difference. Errors are compared by their codes."""
        results = []
        for call in (ours, theirs):
            try:
                results.append(call())
            except Refused as error:
                results.append(("refused", error.code))
                if error.code == "valueTooLarge" and "sizeLimit" in self.profile:
                    differ("size limit")
                    return results[0]
        if not same(*results):
            raise Difference(f"ours {results[0]!r}\ntheirs {results[1]!r}")
        return results[0]

    def refused(self, code, call):
        """Something that only we refuse."""
        try:
            result = call()
        except Refused as error:
            if error.code == code:
                return
            result = error
        raise Difference(f"ours {result!r}, expected {code}")

    def wrote(self, key):
        """After a write: takes as many items from DiskCache as we had to give up."""
        if "sizeLimit" not in self.profile:
            return
        self.written = (self.written if self.depth else set()) | {repr(self.theirs.key(key))}
        surplus = len(self.theirs.cache) - self.ours.request("count")
        if surplus <= 0:
            return
        differ("size limit")
        column = {"least-recently-stored": "store_time", "least-recently-used": "access_time",
                  "least-frequently-used": "access_count"}[self.profile["evictionPolicy"]]
        rows = self.theirs.cache._sql(
            f"SELECT rowid, key, raw, filename, value FROM Cache ORDER BY {column} LIMIT ?",
            (surplus + len(self.written),)).fetchall()
        get = self.theirs.cache.disk.get
        victims = [row for row in rows if repr(get(row[1], row[2])) not in self.written][:surplus]
        self.theirs.drop_rows(victims, self.theirs.cache)


# Each operation: what makes its arguments of random numbers, and what does it.
OPERATIONS = {}


def operation(name, weight, *verbs):
    """Registers a class with `make(random, world)` (None: not now) and `run(world, *arguments)`. One that is `outside` isn't done
    inside a transaction."""
    def register(cls):
        OPERATIONS[name] = (cls, weight, verbs)
        return cls
    return register


# Arguments

def make_key(random, world):
    if "keys" in world.profile:
        return f"key {random.randrange(world.profile['keys'])}"
    if random.random() < 0.06 and "push" in world.knows:
        shown = [key for key in world.theirs.keys() if isinstance(key, QueueKey)]
        if shown and random.random() < 0.8:
            return random.choice(shown)
        prefix = random.choice(PREFIXES + ([None] if world.profile["unnamed_queue"] else []))
        return QueueKey(prefix, 500_000_000_000_000 + random.randrange(-3, 4))
    pools = [INTEGERS, FLOATS, TEXTS, BYTES, SERIALISED]
    if not world.profile["unnamed_queue"]:
        pools += [SMALL_INTEGERS, SMALL_INTEGERS, SMALL_FLOATS]
    return copy.deepcopy(random.choice(random.choice(pools)))


def make_value(random, world):
    # Where there is a size limit, no transaction may outgrow it ("size limit").
    large = 60 if "sizeLimit" in world.profile else world.profile["minFileSize"]
    kind = random.randrange(12)
    if kind == 0:
        return random.choice([float("nan"), float("inf"), -0.0, 1.5, 1e-300])
    if kind == 1:
        return copy.deepcopy(random.choice(SERIALISED))
    if kind == 2:
        return random.choice([2**63 - 1, -(2**63), 2**53 + 1])
    if kind == 3:
        return random.choice(["", "\r\n", "é\n", "a\rb"]) * random.choice([1, 3, large // 2, large])
    if kind == 4:
        return bytes([random.randrange(256)]) * random.choice([0, 5, large - 1, large, large + 9])
    if kind == 5:
        return [random.randrange(100) for _ in range(random.choice([2, large]))]
    if kind == 6:
        return "x" * random.randrange(0, 400)
    return random.randrange(-1000, 1000)


def make_expire(random):
    """Between two ticks of the clock, so that no item expires at the very moment of a call ("expiry boundary")."""
    choice = random.random()
    if choice < 0.6:
        return None
    if choice < 0.65:
        return random.choice([0, -1, -0.0625])
    return random.choice([0, 1, 2, 8, 30]) + random.choice([0.0625, 0.1875])


# One item

class Store:
    @staticmethod
    def make(random, world):
        value = make_value(random, world)
        if random.random() < 0.04:
            value = Stream(bytes(random.randrange(3) for _ in range(random.choice([0, 10, 3000]))))
        return make_key(random, world), value, make_expire(random), random.choice(TAGS)

    @classmethod
    def run(cls, world, key, value, expire, tag):
        ours = lambda: world.ours.request(
            cls.verb, key=encode(key), value=world.ours.outgoing(value), expire=expire, tag=encode(tag))
        if isinstance(key, QueueKey) and world.theirs.row(key) is None:
            differ("a number comes from push")
            return world.refused("keyNotFound", ours)
        incoming, keywords = world.theirs.outgoing(value)
        is_born_expired = expire is not None and expire <= 0
        cull_limit = world.theirs.cull_limit
        if is_born_expired:
            world.theirs.cull_limit = 0
        done = world.both(ours, lambda: world.theirs.call(
            cls.verb, world.theirs.key(key), incoming, expire=expire, tag=tag, **keywords))
        if is_born_expired:
            world.theirs.cull_limit = cull_limit
        if done is True and is_born_expired:
            differ("born expired")
            world.theirs.drop_row(key)
        if done is True:
            world.wrote(key)


@operation("set", 20)
class Set(Store):
    verb = "set"


@operation("add", 8)
class Add(Store):
    verb = "add"


class ByKey:
    @staticmethod
    def make(random, world):
        return (make_key(random, world),)


@operation("get", 20)
class Get(ByKey):
    @staticmethod
    def run(world, key):
        world.both(lambda: world.ours.value("get", key=encode(key)),
                   lambda: world.theirs.call("get", world.theirs.key(key), ABSENT))


def entry_of(world, key, take):
    """What DiskCache knows of an item, in our form."""
    row = world.theirs.row(key)
    value, expires, tag = take(world.theirs.key(key), ABSENT, expire_time=True, tag=True)
    if value is ABSENT:
        return ABSENT
    return Entry(value, expires, tag, row[1], row[3] is not None)


def settle_entry(world, ours, theirs):
    """Whether a value has a file is compared where both measure it alike."""
    if ours is ABSENT or theirs is ABSENT or isinstance(ours, tuple) and not isinstance(ours, Entry):
        return ours
    if ours.in_file != theirs.in_file:
        if isinstance(ours.value, str) and not ours.value.isascii():
            differ("threshold in bytes")
            return ours._replace(in_file=theirs.in_file)
        if isinstance(ours.value, (list, dict, bool)) or ours.value is None:
            return ours._replace(in_file=theirs.in_file)
    return ours


@operation("entry", 8)
class GetEntry(ByKey):
    @staticmethod
    def run(world, key):
        theirs = entry_of(world, key, world.theirs.cache.get)
        world.both(lambda: settle_entry(world, world.ours.entry("get", key=encode(key))[1], theirs), lambda: theirs)


@operation("pop", 4)
class Pop(ByKey):
    @staticmethod
    def run(world, key):
        theirs = entry_of(world, key, world.theirs.cache.pop)
        # What is taken out has no file any more.
        theirs = theirs if theirs is ABSENT else theirs._replace(in_file=False)
        world.both(lambda: world.ours.entry("pop", key=encode(key))[1], lambda: theirs)


@operation("contains", 6)
class Contains(ByKey):
    @staticmethod
    def run(world, key):
        world.both(lambda: world.ours.request("contains", key=encode(key)),
                   lambda: world.theirs.call("__contains__", world.theirs.key(key)))


@operation("delete", 6)
class Delete(ByKey):
    @staticmethod
    def run(world, key):
        world.both(lambda: world.ours.request("delete", key=encode(key)),
                   lambda: world.theirs.call("delete", world.theirs.key(key)))


@operation("touch", 5)
class Touch:
    @staticmethod
    def make(random, world):
        return make_key(random, world), make_expire(random) or None

    @staticmethod
    def run(world, key, expire):
        if world.depth and expire is not None and expire < 0:
            return differ("own rows")
        world.both(lambda: world.ours.request("touch", key=encode(key), expire=expire),
                   lambda: world.theirs.call("touch", world.theirs.key(key), expire=expire))
        if world.depth:
            # A row of its transaction, which that doesn't take as a victim.
            world.written.add(repr(world.theirs.key(key)))


@operation("incr", 8)
class Incr:
    @staticmethod
    def make(random, world):
        verb = random.choice(["incr", "incr", "decr"])
        if random.random() < 0.2:
            return verb, make_key(random, world), random.choice([0.5, -2.25]), random.choice([0.0, 1.5, None])
        by = random.choice([1, 1, 5, -3, 2**62])
        return verb, make_key(random, world), by, random.choice([0, 0, 10, None])

    @staticmethod
    def run(world, verb, key, by, start):
        ours = lambda: world.ours.value(verb, key=encode(key), by=by, default=start)
        if isinstance(key, QueueKey) and world.theirs.row(key) is None:
            if start is not None:
                differ("a number comes from push")
            return world.refused("keyNotFound", ours)
        row = world.theirs.row(key)
        if row is not None and row[3:] == (None, None):
            # To DiskCache it isn't a number any more.
            return differ("NaN value")
        if type(by) is int and world.theirs.is_live(key) and type(row[4]) is float:
            differ("float plus integer")
            return world.refused("notANumber", ours)
        if not is_refusal(world.both(ours, lambda: world.theirs.call(verb, world.theirs.key(key), by, start))):
            world.wrote(key)


# Several items

@operation("setMany", 2)
class SetMany:
    @staticmethod
    def make(random, world):
        keys = [make_key(random, world) for _ in range(random.randrange(5))]
        return ([(key, make_value(random, world)) for key in keys if not isinstance(key, QueueKey)],)

    @staticmethod
    def run(world, items):
        def theirs():
            with world.theirs.cache.transact():
                return all([world.theirs.cache.set(world.theirs.key(key), value) for key, value in items])

        depth, world.depth = world.depth, world.depth + 1
        done = world.both(
            lambda: world.ours.request("setMany", items=[[encode(key), encode(value)] for key, value in items]), theirs)
        if not depth:
            world.written = set()
        if items and not is_refusal(done):
            world.written |= {repr(key) for key, _ in items}
            world.wrote(items[-1][0])
        world.depth = depth


class ByKeys:
    @staticmethod
    def make(random, world):
        return ([make_key(random, world) for _ in range(random.randrange(6))],)


@operation("getMany", 2)
class GetMany(ByKeys):
    @staticmethod
    def run(world, keys):
        def ours():
            from sides import decode
            return [decode(value) for value in world.ours.request("getMany", keys=list(map(encode, keys)))]
        world.both(ours, lambda: [world.theirs.cache.get(world.theirs.key(key), ABSENT) for key in keys])


@operation("deleteMany", 1)
class DeleteMany(ByKeys):
    @staticmethod
    def run(world, keys):
        def theirs():
            with world.theirs.cache.transact():
                return sum([world.theirs.cache.delete(world.theirs.key(key)) for key in keys])
        world.both(lambda: world.ours.request("deleteMany", keys=list(map(encode, keys))), theirs)


class Plain:
    @staticmethod
    def make(_random, _world):
        return ()


@operation("count", 3)
class Count(Plain):
    @staticmethod
    def run(world):
        world.both(lambda: world.ours.request("count"), lambda: len(world.theirs.cache))


@operation("clear", 0.2)
class Clear(Plain):
    @staticmethod
    def run(world):
        world.both(lambda: world.ours.request("clear"), lambda: world.theirs.call("clear"))


# The clock, settings, the life of a cache

@operation("tick", 12)
class Tick:
    # A transaction of ours has the time of its beginning.
    outside = True

    @staticmethod
    def make(random, _world):
        return (random.choice([0.125, 0.125, 0.125, 1, 1, 5, 20]),)

    @staticmethod
    def run(world, seconds):
        world.clock.now += seconds
        world.ours.request("now", set=world.clock.now)


@operation("settings", 0.5)
class Settings:
    NAMES = {"minFileSize": "disk_min_file_size", "cullLimit": "cull_limit", "statistics": "statistics"}

    # DiskCache doesn't undo what a transaction set on its object.
    outside = True

    @staticmethod
    def make(random, world):
        choices = [("minFileSize", 4096 if "sizeLimit" in world.profile else random.choice([16, 100, 1000]))]
        if "expire" in world.knows and "sizeLimit" not in world.profile and "by_hand" not in world.profile:
            choices.append(("cullLimit", random.choice([0, 1, 2, 10])))
        if "stats" in world.knows:
            choices.append(("statistics", random.random() < 0.5))
        return random.choice(choices)

    @classmethod
    def run(cls, world, name, value):
        world.both(lambda: world.ours.request("settings", set={name: value})[name],
                   lambda: type(value)(world.theirs.cache.reset(cls.NAMES[name], value)))
        if name == "minFileSize":
            world.theirs.set_min_file_size(value)


@operation("close", 0.1)
class Close(Plain):
    outside = True

    @staticmethod
    def run(world):
        world.both(lambda: world.ours.request("close"), lambda: world.theirs.cache.close() is None)


@operation("check", 0.2)
class Check(Plain):
    outside = True

    @staticmethod
    def run(world):
        findings = world.ours.request("check")
        if findings:
            raise Difference(f"check: {findings}")
        if world.ours.request("volume") <= 0:
            raise Difference("a volume of nothing")


# Transactions

@operation("begin", 2)
class Begin:
    @staticmethod
    def make(_random, world):
        return None if world.depth > 2 else ()

    @staticmethod
    def run(world):
        world.both(lambda: world.ours.request("begin"), lambda: world.theirs.begin() is None)
        if not world.depth:
            world.written = set()
        world.levels.append(set(world.written))
        world.depth += 1


@operation("end", 4)
class End:
    @staticmethod
    def make(random, world):
        return (random.random() < 0.6,) if world.depth else None

    @staticmethod
    def run(world, commits):
        if not world.depth:
            # Only in a list of operations that was made shorter.
            return
        if not commits and world.profile.get("evictionPolicy") in ("least-recently-used", "least-frequently-used"):
            # Victims would differ from here on.
            differ("counted for good")
            commits = True
        if not commits:
            differ("rollback loses files")
            if world.depth > 1:
                differ("savepoints")
        world.depth -= 1
        written = world.levels.pop()
        if not commits:
            world.written = written
        before = (world.theirs.hits_and_misses() if not commits else None)
        world.both(lambda: world.ours.request("commit" if commits else "rollback"),
                   lambda: world.theirs.end(commits) is None)
        if before and before != world.theirs.hits_and_misses():
            differ("counted for good")
            world.theirs.set_hits_and_misses(before)
