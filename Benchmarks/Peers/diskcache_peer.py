"""Python's DiskCache at the same work as `bench --verbs`: microseconds an operation, a line each: name, a space, the figure.

usage: diskcache_peer.py DIRECTORY KEYS OUTPUT
"""

import os
import sys
import time

import diskcache


def timed(count, body):
    start = time.perf_counter()
    body()
    return (time.perf_counter() - start) / count * 1e6


def run(directory, keys, say):
    value = b"x" * 100

    with diskcache.Cache(os.path.join(directory, "queue")) as cache:
        count = min(keys, 5_000)
        say("push", timed(count, lambda: [cache.push(value) for _ in range(count)]))
        say("pull", timed(count, lambda: [cache.pull() for _ in range(count)]))

    with diskcache.Cache(os.path.join(directory, "order"), cull_limit=0) as cache:
        count = min(keys, 50_000)
        with cache.transact():
            for number in range(count):
                cache.set(b"%016d" % (number * 7919 % count), value)
        say("keys-insertion", timed(count, lambda: sum(1 for _ in cache)))
        say("keys-sorted", timed(count, lambda: sum(1 for _ in cache.iterkeys())))

    with diskcache.Cache(os.path.join(directory, "tag"), cull_limit=0, tag_index=True) as cache:
        count = min(keys, 20_000)
        with cache.transact():
            for number in range(count):
                cache.set(number, value, tag="even" if number % 2 == 0 else "odd")
        say("evict-tag", timed(count // 2, lambda: cache.evict("even")))

    limit = 4 << 20 if keys < 50_000 else 32 << 20
    for policy in ("least-recently-stored", "least-recently-used", "least-frequently-used"):
        path = os.path.join(directory, policy)
        with diskcache.Cache(path, eviction_policy=policy, size_limit=limit) as cache:
            number = 0
            while cache.volume() < limit:
                with cache.transact():
                    for _ in range(200):
                        cache.set(number, value)
                        number += 1
            first, count = number, min(keys, 3_000)
            say("set-full-" + policy, timed(count, lambda: [cache.set(first + i, value) for i in range(count)]))


if __name__ == "__main__":
    with open(sys.argv[3], "w") as output:
        run(sys.argv[1], int(sys.argv[2]), lambda name, figure: output.write(f"{name} {figure}\n"))
