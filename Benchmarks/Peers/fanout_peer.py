"""A worker of Python's FanoutCache for `bench --fanout`, which has the mix of DiskCache's own benchmark: 90 % get, 9 % set, 1 % delete.

usage: fanout_peer.py DIRECTORY OPERATIONS SEED START OUTPUT

Begins at START, in nanoseconds of the monotonic clock. Writes lines: a verb, nanoseconds, how often; and `dropped`, 0, how many.
"""

import collections
import random
import sys
import time

import diskcache

KEYS = 100


def run(directory, operations, seed, start):
    counts = collections.Counter()
    random.seed(seed)
    with diskcache.FanoutCache(directory, shards=8) as cache:
        while time.monotonic_ns() < start:
            time.sleep(0.001)
        for number in range(operations):
            key = b"%d" % random.randrange(KEYS)
            value = b"%d" % number * random.randrange(1, 100)
            choice = random.random()
            begun = time.monotonic_ns()
            if choice < 0.9:
                verb = "get"
                cache.get(key)
            elif choice < 0.99:
                verb = "set"
                if not cache.set(key, value):
                    counts["dropped", 0] += 1
            else:
                verb = "delete"
                cache.delete(key)
            counts[verb, time.monotonic_ns() - begun] += 1
    return counts


if __name__ == "__main__":
    directory, operations, seed, start, output = sys.argv[1:]
    with open(output, "w") as file:
        for (verb, nanoseconds), count in run(directory, int(operations), int(seed), int(start)).items():
            file.write(f"{verb} {nanoseconds} {count}\n")
