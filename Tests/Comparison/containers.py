"""Random operations on a deque and on an index, each done with DiskCache's and with ours, and compared at once."""

import copy
import os
import random
import sys
import tempfile
import time

import diskcache

from differences import TABLE, differ
from operations import (BYTES, FLOATS, INTEGERS, TEXTS, Begin, Check, Close, Difference, End, Pair, World, make_key)
from sides import ABSENT, Clock, Ours, QueueKey, Refused, Theirs, decode, encode

KINDS = ("deque", "index")
MIN_FILE_SIZE = 64
# None of them equal to another of another type, for Python ("equal by type").
VALUES = [-5, 7, 2**53 + 1, -(2**63), 2.5, -0.75, float("inf"), "", "a", "é", "z" * 40, "q" * 200, b"", b"\x00\xff", b"x" * 150,
          None, True, [2, "two"], [], {"b": [None], "a": 9}, list(range(20, 60))]


class Run(Pair):
    """Two fresh collections."""

    def __init__(self, tool, kind):
        self.directory = tempfile.mkdtemp(prefix="comparison-")
        self.clock = Clock()
        configuration = {"minFileSize": MIN_FILE_SIZE}
        self.ours = Ours(tool, os.path.join(self.directory, "ours"), {**configuration, "durability": "none"},
                         ["--kind", kind])
        try:
            self.theirs = Theirs(os.path.join(self.directory, "theirs"),
                                 {**configuration, "evictionPolicy": "none", "cullLimit": 0}, self.clock, True)
            self.theirs.deque = diskcache.Deque.fromcache(self.theirs.cache)
            self.theirs.index = diskcache.Index.fromcache(self.theirs.cache)
        except BaseException:
            self.close()
            raise

    def world(self):
        world = World(self.ours, self.theirs, self.clock, {"unnamed_queue": True}, {"push"})
        world.lengths = []
        return world


def absent(call):
    """What there is, or ABSENT where DiskCache raises."""
    try:
        return call()
    except (IndexError, KeyError):
        return ABSENT


def found(call):
    """What there is; DiskCache's errors are ours."""
    try:
        return call()
    except IndexError as error:
        raise Refused("keyNotFound", str(error)) from None


def make_value(random):
    return copy.deepcopy(random.choice(VALUES)) if random.random() < 0.7 else random.randrange(10, 40)


# Each operation of a kind: what makes its arguments of random numbers (None: not now), what does it, and how often it comes.
DEQUE, INDEX = {}, {}


def operation(table, name, weight, make=lambda random, world: ()):
    def register(run):
        table[name] = (make, run, weight)
        return run
    return register


for table in (DEQUE, INDEX):
    for name, cls, weight in (("begin", Begin, 2), ("check", Check, 0.2), ("close", Close, 0.2)):
        table[name] = (cls.make, cls.run, weight)


# Deque

def value_of(random, _world):
    return (make_value(random),)


def values_of(random, _world):
    return ([make_value(random) for _ in range(random.randrange(5))],)


def index_of(random, world):
    count = len(world.theirs.deque)
    return (random.randrange(-count - 2, count + 2),)


def both(world, verb, theirs, **arguments):
    world.both(lambda: world.ours.value(verb, **arguments), theirs)


for ours_name, theirs_name in (("append", "append"), ("prepend", "appendleft")):
    @operation(DEQUE, ours_name, 9, value_of)
    def add(world, value, ours_name=ours_name, theirs_name=theirs_name):
        both(world, ours_name, lambda: getattr(world.theirs.deque, theirs_name)(value) is None, value=encode(value))

for ours_name, theirs_name in (("popFirst", "popleft"), ("popLast", "pop"), ("first", "peekleft"), ("last", "peek")):
    @operation(DEQUE, ours_name, 6)
    def end_of(world, ours_name=ours_name, theirs_name=theirs_name):
        both(world, ours_name, lambda: absent(getattr(world.theirs.deque, theirs_name)))

for ours_name, theirs_name in (("extend", "extend"), ("extendFront", "extendleft")):
    @operation(DEQUE, ours_name, 4, values_of)
    def extend(world, values, ours_name=ours_name, theirs_name=theirs_name):
        both(world, ours_name, lambda: getattr(world.theirs.deque, theirs_name)(values) is None,
             values=list(map(encode, values)))


@operation(DEQUE, "at", 8, index_of)
def at(world, index):
    both(world, "at", lambda: found(lambda: world.theirs.deque[index]), index=index)


@operation(DEQUE, "setAt", 5, lambda random, world: index_of(random, world) + value_of(random, world))
def set_at(world, index, value):
    both(world, "setAt", lambda: found(lambda: world.theirs.deque.__setitem__(index, value) is None), index=index,
         value=encode(value))


@operation(DEQUE, "removeAt", 5, index_of)
def remove_at(world, index):
    def theirs():
        value = found(lambda: world.theirs.deque[index])
        del world.theirs.deque[index]
        return value
    both(world, "removeAt", theirs, index=index)


@operation(DEQUE, "rotate", 5, lambda random, _: (random.choice([1, -1, 2, -3, random.randrange(-500, 500)]),))
def rotate(world, by):
    both(world, "rotate", lambda: world.theirs.deque.rotate(by) is None, by=by)


@operation(DEQUE, "reverse", 2)
def reverse(world):
    # DiskCache's makes a deque of its own meanwhile, which a transaction of this one doesn't hinder.
    both(world, "reverse", lambda: world.theirs.deque.reverse() is None)


@operation(DEQUE, "remove", 4, value_of)
def remove(world, value):
    def theirs():
        try:
            world.theirs.deque.remove(value)
            return True
        except ValueError:
            return False
    both(world, "remove", theirs, value=encode(value))


@operation(DEQUE, "countOf", 3, value_of)
def count_of(world, value):
    both(world, "countOf", lambda: world.theirs.deque.count(value), value=encode(value))


@operation(DEQUE, "contains", 3, value_of)
def contains(world, value):
    both(world, "contains", lambda: value in world.theirs.deque, value=encode(value))


@operation(DEQUE, "maxLength", 1.5, lambda random, _: (random.choice([None, None, 0, 1, 5, 20, 50]),))
def max_length(world, length):
    if length is None:
        differ("no length")
        world.theirs.deque._maxlen = float("inf")
    else:
        world.theirs.deque.maxlen = length
    both(world, "maxLength", lambda: length, set=length)


@operation(DEQUE, "items", 4)
def deque_items(world):
    everything(world, "items", lambda: list(world.theirs.deque))
    everything(world, "items", lambda: list(reversed(world.theirs.deque)), reversed=True)


# Index

def key_of(random, world):
    return (make_index_key(random, world),)


def make_index_key(random, world):
    if random.random() < 0.75:
        return copy.deepcopy(random.choice(random.choice([INTEGERS, FLOATS, TEXTS, BYTES])))
    return make_key(random, world)


@operation(INDEX, "set", 20, lambda random, world: key_of(random, world) + value_of(random, world))
def set_item(world, key, value):
    if isinstance(key, QueueKey) and world.theirs.row(key) is None:
        differ("a number comes from push")
        return world.refused("keyNotFound", lambda: world.ours.request("set", key=encode(key), value=encode(value)))
    both(world, "set", lambda: world.theirs.index.__setitem__(world.theirs.key(key), value) is None, key=encode(key),
         value=encode(value))


@operation(INDEX, "get", 10, key_of)
def get_item(world, key):
    both(world, "get", lambda: world.theirs.index.get(world.theirs.key(key), ABSENT), key=encode(key))


@operation(INDEX, "pop", 5, key_of)
def pop_item(world, key):
    both(world, "pop", lambda: world.theirs.index.pop(world.theirs.key(key), ABSENT), key=encode(key))


@operation(INDEX, "delete", 5, key_of)
def delete_item(world, key):
    def theirs():
        try:
            del world.theirs.index[world.theirs.key(key)]
            return True
        except KeyError:
            return False
    both(world, "delete", theirs, key=encode(key))


@operation(INDEX, "contains", 4, key_of)
def contains_key(world, key):
    both(world, "contains", lambda: world.theirs.key(key) in world.theirs.index, key=encode(key))


@operation(INDEX, "setDefault", 6, lambda random, world: key_of(random, world) + value_of(random, world))
def set_default(world, key, value):
    if isinstance(key, QueueKey) and world.theirs.row(key) is None:
        differ("a number comes from push")
        return world.refused(
            "keyNotFound", lambda: world.ours.request("setDefault", key=encode(key), value=encode(value)))
    both(world, "setDefault", lambda: world.theirs.index.setdefault(world.theirs.key(key), value), key=encode(key),
         value=encode(value))


def pair(world, ours, theirs):
    """Compares an item: key and value."""
    def decoded():
        item = decode(ours())
        return item if item is ABSENT else [decode(item[0]), decode(item[1])]

    def shown():
        item = theirs()
        return item if item is ABSENT else [world.theirs.shown(item[0]), item[1]]
    world.both(decoded, shown)


for ours_name, last in (("popFirst", False), ("popLast", True)):
    @operation(INDEX, ours_name, 5)
    def pop_end(world, ours_name=ours_name, last=last):
        pair(world, lambda: world.ours.request(ours_name), lambda: absent(lambda: world.theirs.index.popitem(last)))


@operation(INDEX, "peekItem", 5, lambda random, _: (random.random() < 0.5,))
def peek_item(world, last):
    pair(world, lambda: world.ours.request("peekItem", last=last),
         lambda: absent(lambda: world.theirs.index.peekitem(last)))


def queue_of(random, _world):
    return (random.choice([None, "q", "jobs"]), random.choice(["front", "back"]))


@operation(INDEX, "push", 6, lambda random, world: queue_of(random, world) + value_of(random, world))
def push(world, prefix, side, value):
    world.both(lambda: decode(world.ours.request("push", value=encode(value), prefix=prefix, side=side)),
               lambda: world.theirs.shown(world.theirs.index.push(value, prefix, side)))


@operation(INDEX, "pull", 6, queue_of)
def pull(world, prefix, side):
    pair(world, lambda: world.ours.request("pull", prefix=prefix, side=side),
         lambda: pulled(world.theirs.index.pull(prefix, (ABSENT, ABSENT), side)))


def pulled(item):
    return ABSENT if item[0] is ABSENT else item


@operation(INDEX, "keys", 4)
def index_keys(world):
    everything(world, "keys", lambda: list(map(world.theirs.shown, world.theirs.index)))
    everything(world, "keys", lambda: list(map(world.theirs.shown, reversed(world.theirs.index))), reversed=True)


@operation(INDEX, "items", 4)
def index_items(world):
    def ours():
        return [[decode(key), decode(value)] for key, value in world.ours.request("items")]
    world.both(ours, lambda: [[world.theirs.shown(key), value] for key, value in world.theirs.index.items()])


@operation(INDEX, "sorted", 2)
def sorted_keys(world):
    theirs = world.theirs.sorted_keys()
    if any(isinstance(key, (bytes, QueueKey, list, dict, bool, type(None))) for key in theirs):
        # In another order ("order of classes"), which the comparison of caches shows.
        return
    everything(world, "keys", lambda: theirs, order="sorted")


# Both

def everything(world, verb, theirs, **arguments):
    world.both(lambda: [decode(one) for one in world.ours.request(verb, **arguments)], theirs)


for table, attribute in ((DEQUE, "deque"), (INDEX, "index")):
    @operation(table, "count", 3)
    def count(world, attribute=attribute):
        both(world, "count", lambda: len(getattr(world.theirs, attribute)))

    @operation(table, "clear", 0.2)
    def clear(world, attribute=attribute):
        before = len(world.theirs.cache)
        both(world, "clear", lambda: before if getattr(world.theirs, attribute).clear() is None else None)


def begin_deque(world):
    world.lengths.append(world.theirs.deque._maxlen)
    Begin.run(world)


def end_deque(world, commits):
    if world.depth and not commits and world.lengths[-1] != world.theirs.deque._maxlen:
        differ("length is stored")
        world.theirs.deque._maxlen = world.lengths[-1]
    if world.depth:
        world.lengths.pop()
    End.run(world, commits)


DEQUE["begin"] = (Begin.make, begin_deque, 2)
DEQUE["end"] = (End.make, end_deque, 6)
INDEX["end"] = (End.make, End.run, 6)
OUTSIDE = ("check", "close")
OPERATIONS = {"deque": DEQUE, "index": INDEX}


def do(world, kind, name, arguments):
    if world.depth and name in OUTSIDE:
        # Only in a list of operations that was made shorter.
        return
    try:
        OPERATIONS[kind][name][1](world, *arguments)
    except (Refused, AssertionError) as error:
        raise Difference(f"{type(error).__name__}: {error}") from error


def finish(world, kind):
    while world.depth:
        do(world, kind, "end", (True,))
    for name in ("count", "items", "check"):
        do(world, kind, name, ())


def generate(tool, kind, seed, count):
    """Does random operations. The list of those done, and the Difference that the last of them showed, or None."""
    rng = random.Random(seed)
    table = OPERATIONS[kind]
    weights = [weight for _, _, weight in table.values()]
    done = []
    try:
        with Run(tool, kind) as run:
            world = run.world()
            while len(done) < count:
                name = rng.choices(list(table), weights)[0]
                if world.depth and name in OUTSIDE:
                    continue
                arguments = table[name][0](rng, world)
                if arguments is None:
                    continue
                done.append((name, arguments))
                do(world, kind, name, arguments)
            finish(world, kind)
    except Difference as difference:
        return done, difference
    return done, None


def replay(tool, kind, operations):
    """The Difference that a list of operations shows, or None."""
    try:
        with Run(tool, kind) as run:
            world = run.world()
            for name, arguments in operations:
                do(world, kind, name, arguments)
            finish(world, kind)
    except Difference as difference:
        return difference
    return None


def compare(options, shorten):
    """The whole comparison of a kind."""
    began = time.monotonic()
    kind = options.kind
    rows = [row for row in TABLE if row.kind == kind]
    print(f"comparison: DiskCache {diskcache.__version__}, {kind}, seed {options.seed}, {options.operations} operations")
    for row in rows:
        if row.show is not None:
            with Run(options.tool, kind) as run:
                if not row.show(run.ours, run.theirs, run.clock):
                    sys.exit(f"comparison: the row \"{row.name}\" of the table of differences isn't true")
    # Several runs, so that each begins anew.
    total, part = 0, 2000
    for number, start in enumerate(range(0, options.operations, part)):
        seed = f"{options.seed}/{kind}/{number}"
        operations, difference = generate(options.tool, kind, seed, min(part, options.operations - start))
        total += len(operations)
        if difference is None:
            continue
        print(f"comparison: seed {options.seed}, run {number}, operation {len(operations)}:")
        print(f"{operations[-1]!r:.2000}\n{difference!s:.2000}\n")
        short = shorten(operations, options.shorten, lambda some: replay(options.tool, kind, some))
        print(f"{len(short)} operations show a difference:")
        for one in short[-100:]:
            print(f"  {one!r:.300}")
        print(f"{replay(options.tool, kind, short)!s:.2000}")
        sys.exit(1)
    for row in TABLE:
        if row.count or row.kind == kind:
            print(f"  gone by {row.count:6} times: {row.name} ({row.section})")
    print(f"comparison passed: {kind}, {total} operations, seed {options.seed}, "
          f"{sum(row.show is not None for row in rows)} differences shown, {time.monotonic() - began:.0f} s")
