#!/usr/bin/env python3
"""Drives DiskCache and this engine with the same random operations, and compares every answer.

    Tests/Comparison/setup                                  # installs DiskCache, once
    Tests/Comparison/compare.py                             # 20,000 operations, a new seed
    Tests/Comparison/compare.py --seed 7 --operations 2000  # the same again
    Tests/Comparison/compare.py --kind deque                # DiskCache's Deque and ours; or index
    Tests/Comparison/compare.py --kind fanout               # FanoutCache

Prints its seed. When the sides differ it looks for the shortest list of operations that still shows it, and prints that.
"""

import argparse
import os
import random
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, ".build", "comparison")]

try:
    import diskcache
except ImportError:
    sys.exit("compare: DiskCache isn't installed; run Tests/Comparison/setup")

import containers  # noqa: E402
import fanout  # noqa: E402
import orders  # noqa: E402,F401  (registers operations)
from differences import TABLE, differ  # noqa: E402
from operations import OPERATIONS, Difference, Pair, World  # noqa: E402
from sides import Clock, Ours, Refused, Theirs  # noqa: E402

PROFILES = {
    "plain": {"minFileSize": 64, "cullLimit": 10, "unnamed_queue": False},
    "queues": {"minFileSize": 100, "cullLimit": 3, "unnamed_queue": True},
    "by hand": {"minFileSize": 1000, "cullLimit": 0, "unnamed_queue": True},
    "counted": {"minFileSize": 64, "cullLimit": 1, "statistics": True, "tagIndex": True, "unnamed_queue": False},
    "least recently stored": {"evictionPolicy": "least-recently-stored", "sizeLimit": 40_000},
    "least recently used": {"evictionPolicy": "least-recently-used", "sizeLimit": 40_000},
    "least frequently used": {"evictionPolicy": "least-frequently-used", "sizeLimit": 40_000},
    "no eviction": {"evictionPolicy": "none", "minFileSize": 64, "cullLimit": 10, "unnamed_queue": True},
}
for profile in PROFILES.values():
    if "sizeLimit" in profile:
        profile.update(minFileSize=4096, cullLimit=10, unnamed_queue=False, keys=400)
NOT_SETTINGS = ("unnamed_queue", "keys", "by_hand")
VERBS = """set add delete contains touch get pop incr decr setMany getMany deleteMany push pull peek peekItem keys items
    count volume stats expire evict evictUntagged cull clear check settings begin commit rollback now close""".split()


def brief(thing, limit=2000):
    """A thing as text that isn't too long to read."""
    text = thing if isinstance(thing, str) else repr(thing)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


KINDS = {"cache": Theirs, "fanout": fanout.TheirFanout}


class Run(Pair):
    """Two fresh stores."""

    kind = "cache"

    def __init__(self, tool, profile):
        self.directory = tempfile.mkdtemp(prefix="comparison-")
        self.clock = Clock()
        configuration = {name: value for name, value in profile.items() if name not in NOT_SETTINGS}
        self.ours = Ours(tool, os.path.join(self.directory, "ours"),
                         {**configuration, **KINDS[self.kind].settings, "durability": "none"}, ["--kind", self.kind])
        try:
            self.theirs = KINDS[self.kind](
                os.path.join(self.directory, "theirs"), configuration, self.clock, profile["unnamed_queue"])
            self.ours.request("now", set=self.clock.now)
        except BaseException:
            self.close()
            raise


def do(world, name, arguments):
    """One operation; whatever goes wrong is a Difference."""
    if world.depth and hasattr(OPERATIONS[name][0], "outside"):
        # Only in a list of operations that was made shorter.
        return
    try:
        OPERATIONS[name][0].run(world, *arguments)
    except (Refused, AssertionError) as error:
        raise Difference(f"{type(error).__name__}: {error}") from error


def generate(tool, profile, knows, seed, count):
    """Does random operations. The list of those done, and the Difference that the last of them showed, or None."""
    rng = random.Random(seed)
    names = [name for name, (_, _, verbs) in OPERATIONS.items() if all(verb in knows for verb in verbs)]
    weights = [OPERATIONS[name][1] for name in names]
    done = []
    try:
        with Run(tool, profile) as run:
            world = World(run.ours, run.theirs, run.clock, profile, knows)
            while len(done) < count:
                name = rng.choices(names, weights)[0]
                if world.depth and hasattr(OPERATIONS[name][0], "outside"):
                    continue
                arguments = OPERATIONS[name][0].make(rng, world)
                if arguments is None:
                    continue
                done.append((name, arguments))
                do(world, name, arguments)
            finish(world)
    except Difference as difference:
        return done, difference
    return done, None


def finish(world):
    while world.depth:
        do(world, "end", (True,))
    for name in ("count", "everything", "check"):
        if name in OPERATIONS and all(verb in world.knows for verb in OPERATIONS[name][2]):
            do(world, name, ())


def replay(tool, profile, knows, operations):
    """The Difference that a list of operations shows, or None."""
    try:
        with Run(tool, profile) as run:
            world = World(run.ours, run.theirs, run.clock, profile, knows)
            for name, arguments in operations:
                do(world, name, arguments)
            finish(world)
    except Difference as difference:
        return difference
    return None


def shorten(operations, seconds, replay):
    """Leaves out what isn't needed to show a difference, as far as time allows."""
    until = time.monotonic() + seconds
    if replay(operations) is None:
        return operations
    size = max(1, len(operations) // 2)
    while time.monotonic() < until:
        start, shorter = 0, False
        while start < len(operations) and time.monotonic() < until:
            candidate = operations[:start] + operations[start + size:]
            if candidate and replay(candidate) is not None:
                operations, shorter = candidate, True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return operations


def demonstrate(tool, knows):
    """Shows the rows of the table that can be shown."""
    shown = 0
    for row in TABLE:
        if row.show is None or row.kind != Run.kind or not all(verb in knows for verb in row.verbs):
            continue
        with Run(tool, {"minFileSize": 64, "cullLimit": 0, "unnamed_queue": True}) as run:
            if not row.show(run.ours, run.theirs, run.clock):
                raise Difference(f"the row \"{row.name}\" of the table of differences isn't true")
        shown += 1
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--profile", choices=PROFILES, action="append", help="only this one")
    parser.add_argument("--tool", default=os.path.join(ROOT, ".build", "debug", "diskcache"))
    parser.add_argument("--shorten", type=float, default=60, metavar="SECONDS", help="how long to look for a short list")
    parser.add_argument("--kind", choices=[*KINDS, *containers.KINDS], default="cache")
    options = parser.parse_args()
    began = time.monotonic()
    if options.kind in containers.KINDS:
        return containers.compare(options, shorten)
    Run.kind = options.kind
    if Run.kind == "fanout":
        fanout.adapt(PROFILES)
    with Run(options.tool, PROFILES["plain"]) as run:
        knows = {verb for verb in VERBS if verb not in run.theirs.lacks and run.ours.knows(verb)}
    missing = [verb for verb in VERBS if verb not in knows]
    missing = [verb for verb in missing if verb not in KINDS[Run.kind].lacks]
    profiles = options.profile or list(PROFILES)
    if not {"cull", "expire"} <= knows:
        profiles = [name for name in profiles if "sizeLimit" not in PROFILES[name]]
        for profile in PROFILES.values():
            profile["cullLimit"] = 0
    print(f"comparison: DiskCache {diskcache.__version__}, {Run.kind}, seed {options.seed}, {options.operations} operations over "
          f"{len(profiles)} configurations")
    if missing:
        print(f"comparison: not yet verbs: {' '.join(missing)}")
    total = 0
    try:
        shown = demonstrate(options.tool, knows)
    except (Difference, Refused, AssertionError) as difference:
        sys.exit(f"comparison: {difference}")
    for number, name in enumerate(profiles):
        seed = f"{options.seed}/{name}"
        count = options.operations // len(profiles) + (number < options.operations % len(profiles))
        operations, difference = generate(options.tool, PROFILES[name], knows, seed, count)
        total += len(operations)
        if difference is None:
            continue
        print(f"comparison: seed {options.seed}, configuration {name}, operation {len(operations)}:")
        print(f"{brief(operations[-1])}\n{brief(str(difference))}\n")
        short = shorten(
            operations, options.shorten, lambda some: replay(options.tool, PROFILES[name], knows, some))
        print(f"{len(short)} operations show a difference:")
        for operation in short[-100:]:
            print(f"  {brief(operation, 300)}")
        print(brief(str(replay(options.tool, PROFILES[name], knows, short))))
        sys.exit(1)
    for row in TABLE:
        if row.kind not in ("cache", Run.kind):
            continue
        print(f"  gone by {row.count:6} times: {row.name} ({row.section})")
    print(f"comparison passed: {total} operations, {len(profiles)} configurations, seed {options.seed}, "
          f"{shown} differences shown, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
