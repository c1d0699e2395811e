"""Operations that need an order: queues, iteration, expiry, tags, eviction, statistics."""

from differences import differ
from operations import CLASSES, PREFIXES, TAGS, Difference, Plain, is_refusal, make_expire, make_value, operation
from sides import ABSENT, Entry, QueueKey, Stream, decode, encode


@operation("stats", 2, "stats")
class Stats:
    # DiskCache's counters are undone with a transaction.
    outside = True

    @staticmethod
    def make(random, _world):
        return random.choice([None, True, True, False]), random.random() < 0.2

    @staticmethod
    def run(world, enable, reset):
        def theirs():
            on = world.theirs.cache.reset("statistics")
            hits, misses = world.theirs.cache.stats(bool(on) if enable is None else enable, reset)
            return {"hits": hits, "misses": misses}
        if enable is None:
            differ("stats asks only")
        world.both(lambda: world.ours.request("stats", enable=enable, reset=reset), theirs)


# Queues

def make_prefix(random, world):
    return random.choice(PREFIXES + ([None, None, None] if world.profile["unnamed_queue"] else []))


@operation("push", 10, "push")
class Push:
    @staticmethod
    def make(random, world):
        value = make_value(random, world)
        if random.random() < 0.03:
            value = Stream(b"stream" * random.choice([0, 1, 500]))
        expire = make_expire(random)
        return (value, random.choice(["back", "back", "front"]), make_prefix(random, world),
                expire if expire is None or expire > 0 else None, random.choice(TAGS))

    @staticmethod
    def run(world, value, side, prefix, expire, tag):
        incoming, keywords = world.theirs.outgoing(value)
        key = world.both(
            lambda: world.ours.value("push", value=world.ours.outgoing(value), side=side, prefix=prefix, expire=expire,
                                     tag=encode(tag)),
            lambda: queue_key(prefix, world.theirs.call("push", incoming, prefix, side, expire=expire, tag=tag, **keywords)))
        if not is_refusal(key):
            world.wrote(key)


def queue_key(prefix, key):
    """A queue's key of DiskCache as ours has it."""
    return QueueKey(None, key) if prefix is None else QueueKey(prefix, int(key[len(prefix) + 1:]))


class QueueEnd:
    @staticmethod
    def make(random, world):
        return random.choice(["front", "front", "back"]), make_prefix(random, world)


def queue_item(world, prefix, found):
    """What DiskCache's pull or peek gave, as the shell shows it."""
    (key, value), expires, tag = found
    return ABSENT if key is None else [queue_key(prefix, key), value, expires, tag]


def our_item(world, verb, **arguments):
    key, entry = world.ours.entry(verb, **arguments)
    return ABSENT if entry is ABSENT else [key, entry.value, entry.expires, entry.tag]


@operation("pull", 8, "pull")
class Pull(QueueEnd):
    @staticmethod
    def run(world, side, prefix):
        world.both(lambda: our_item(world, "pull", side=side, prefix=prefix),
                   lambda: queue_item(world, prefix, world.theirs.call(
                       "pull", prefix, (None, None), side, expire_time=True, tag=True)))


@operation("peek", 5, "peek")
class Peek(QueueEnd):
    @staticmethod
    def run(world, side, prefix):
        def theirs():
            # DiskCache deletes the expired ones that it meets; we do so only where the lock is held anyhow.
            if not world.depth:
                world.theirs.begin()
            before = len(world.theirs.cache)
            found = world.theirs.call("peek", prefix, (None, None), side, expire_time=True, tag=True)
            if not world.depth:
                if len(world.theirs.cache) < before:
                    differ("peek takes no lock")
                world.theirs.end(commits=False)
            return queue_item(world, prefix, found)
        world.both(lambda: our_item(world, "peek", side=side, prefix=prefix), theirs)


@operation("peekItem", 3, "peekItem")
class PeekItem:
    @staticmethod
    def make(random, _world):
        return (random.random() < 0.5,)

    @staticmethod
    def run(world, last):
        def theirs():
            try:
                (key, value), expires, tag = world.theirs.cache.peekitem(last, expire_time=True, tag=True)
            except KeyError:
                return ABSENT
            return [world.theirs.shown(key), value, expires, tag]
        world.both(lambda: our_item(world, "peekItem", last=last), theirs)


# Iteration

def by_class(keys, reverse):
    """Sorted keys by their classes, which have to come in order. Serialised keys, whose bytes differ, are sorted by their text."""
    numbers = [0 if key is None else CLASSES.get(type(key), 4) for key in keys]
    if numbers != sorted(numbers, reverse=reverse):
        raise Difference(f"classes of keys out of order: {keys}")
    return in_classes(keys)


def in_classes(keys):
    classes = [[] for _ in range(6)]
    for key in keys:
        classes[0 if key is None else CLASSES.get(type(key), 4)].append(key)
    classes[4].sort(key=repr)
    return classes


def their_sorted(world, reverse):
    """DiskCache's sorted keys in our order of classes."""
    keys = world.theirs.sorted_keys(reverse)
    if any(type(key) not in (int, float, str) for key in keys):
        differ("order of classes")
    classes = in_classes(keys)
    classes[5].sort(key=lambda key: (key.prefix is not None, (key.prefix or "").encode(), key.number), reverse=reverse)
    return classes


def our_keys(world, **arguments):
    return [world.theirs.canonical(decode(key)) for key in world.ours.request("keys", **arguments)]


@operation("keys", 3, "keys")
class Keys:
    @staticmethod
    def make(random, _world):
        return random.random() < 0.5, random.random() < 0.5

    @staticmethod
    def run(world, is_sorted, reverse):
        if is_sorted:
            world.both(lambda: by_class(our_keys(world, order="sorted", reversed=reverse), reverse),
                       lambda: their_sorted(world, reverse))
        else:
            mirror = slice(None, None, -1 if reverse else 1)
            world.both(lambda: world.theirs.arranged(our_keys(world, reversed=reverse)[mirror]),
                       lambda: world.theirs.arranged(world.theirs.keys()))


@operation("keys by tag", 1, "keys")
class KeysByTag:
    @staticmethod
    def make(random, _world):
        return random.choice([tag for tag in TAGS if tag is not None]), random.random() < 0.5

    @staticmethod
    def run(world, tag, reverse):
        mirror = slice(None, None, -1 if reverse else 1)
        world.both(lambda: world.theirs.arranged(our_keys(world, tag=encode(tag), reversed=reverse)[mirror]),
                   lambda: world.theirs.arranged(world.theirs.keys_by_tag(tag)))


@operation("part of the keys", 2, "keys")
class PartOfKeys:
    """Ranges, prefixes and pages: parts of the whole list, which is compared by `keys`."""

    @staticmethod
    def make(random, _world):
        return (random.choice(["insertion", "sorted"]), random.random() < 0.4, random.random(), random.random(),
                random.choice(["range", "page", "prefix"]), random.randrange(1, 9))

    @staticmethod
    def run(world, order, reverse, first, second, part, limit):
        everything = world.ours.request("keys", order=order, reversed=reverse)
        if not everything:
            return
        first, second = sorted([int(first * len(everything)), int(second * len(everything))])
        low, high = everything[first], everything[second]
        if part == "range" and order == "sorted" and None not in (low, high):
            if reverse:
                ours = dict(order=order, reversed=True, **{"from": high, "to": low})
                theirs = everything[first + 1:second + 1]
            else:
                ours = dict(order=order, **{"from": low, "to": high})
                theirs = everything[first:second]
        elif part == "page" and low is not None:
            ours = dict(order=order, reversed=reverse, after=low, limit=limit)
            theirs = everything[first + 1:first + 1 + limit]
        elif part == "prefix" and isinstance(low, str):
            start = low[:limit % 3]
            ours = dict(order=order, reversed=reverse, prefix=start)
            theirs = [key for key in everything if isinstance(key, str) and key.startswith(start)]
        else:
            return
        world.both(lambda: world.ours.request("keys", **ours), lambda: theirs)


@operation("everything", 0.5, "items")
class Everything(Plain):
    """All items in insertion order, values and all, and both orders of keys."""

    @staticmethod
    def run(world):
        def ours():
            return [[world.theirs.canonical(decode(key)), decode(value)] for key, value in world.ours.request("items")]
        world.both(lambda: world.theirs.arranged(ours(), lambda item: item[0]),
                   lambda: world.theirs.arranged(world.theirs.items(), lambda item: item[0]))
        for is_sorted in (False, True):
            Keys.run(world, is_sorted, True)


# Removing many

@operation("expire", 2, "expire")
class Expire:
    @staticmethod
    def make(random, _world):
        return (random.choice([None, None, -3, 4]),)

    @staticmethod
    def run(world, offset):
        now = None if offset is None else world.clock.now + offset

        def theirs():
            counts = [world.theirs.expire(now)]
            while counts[-1]:
                counts.append(world.theirs.expire(now))
            if len(counts) > 2:
                differ("expire finds all")
            return sum(counts)
        world.both(lambda: world.ours.request("expire", now=now), theirs)


@operation("evict", 0.7, "evict")
class Evict:
    @staticmethod
    def make(random, _world):
        return (random.choice([tag for tag in TAGS if tag is not None]),)

    @staticmethod
    def run(world, tag):
        world.both(lambda: world.ours.request("evict", tag=encode(tag)), lambda: world.theirs.call("evict", tag))


@operation("evictUntagged", 0.1, "evictUntagged")
class EvictUntagged(Plain):
    @staticmethod
    def run(world):
        def theirs():
            differ("untagged")
            return world.theirs.drop_untagged()
        world.both(lambda: world.ours.request("evictUntagged"), theirs)


@operation("cull", 0.5, "cull")
class Cull(Plain):
    @staticmethod
    def run(world):
        def theirs():
            before = len(world.theirs.cache)
            if world.theirs.cache.cull() == 0 and len(world.theirs.cache) < before:
                differ("cull counts")
            world.wrote(None)
            return before - len(world.theirs.cache)
        world.both(lambda: world.ours.request("cull"), theirs)
