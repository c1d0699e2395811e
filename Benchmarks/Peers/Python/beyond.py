"""Python's DiskCache at the same work as the group `beyond`: microseconds an operation, a line each: name, a space, the figure.

usage: beyond.py DIRECTORY KEYS OUTPUT
"""

import os
import sys
import time

import diskcache

LENGTH = 3000


def timed(count, body):
    start = time.perf_counter()
    body()
    return (time.perf_counter() - start) / count * 1e6


def run(directory, keys, say):
    value = b"x" * 100
    count = min(keys, 5_000)

    with diskcache.Cache(os.path.join(directory, "order"), cull_limit=0) as cache:
        with cache.transact():
            for number in range(keys):
                cache.set(b"%016d" % (number * 7919 % keys), value)
        say("keys-insertion", timed(keys, lambda: sum(1 for _ in cache)))
        say("keys-sorted", timed(keys, lambda: sum(1 for _ in cache.iterkeys())))

    with diskcache.Cache(os.path.join(directory, "tag"), cull_limit=0, tag_index=True) as cache:
        with cache.transact():
            for number in range(keys):
                cache.set(number, value, tag="even" if number % 2 == 0 else "odd")
        say("evict-tag", timed(keys // 2, lambda: cache.evict("even")))

    deque = diskcache.Deque(directory=os.path.join(directory, "deque"))
    say("append", timed(count, lambda: [deque.append(value) for _ in range(count)]))
    say("iterate", timed(count, lambda: sum(1 for _ in deque)))
    say("popleft", timed(count, lambda: [deque.popleft() for _ in range(count)]))
    with deque.transact():
        deque.extend([value] * LENGTH)
    places = 500
    say("at", timed(places, lambda: [deque[i * 7919 % LENGTH] for i in range(places)]))
    say("rotate-1", timed(count, lambda: [deque.rotate(1) for _ in range(count)]))
    for _ in range(10):
        del deque[LENGTH // 3]
    left = LENGTH - 10
    say("at-with-gaps", timed(places, lambda: [deque[i * 7919 % left] for i in range(places)]))
    say("reverse", timed(left, lambda: deque.reverse()))

    index = diskcache.Index(os.path.join(directory, "index"))

    def fill():
        for i in range(count):
            index[i] = value
    say("index-set", timed(count, fill))
    say("index-get", timed(count, lambda: [index[i * 7919 % count] for i in range(count)]))
    say("index-iterate", timed(count, lambda: sum(1 for _ in index.items())))
    say("popitem-first", timed(count // 2, lambda: [index.popitem(last=False) for _ in range(count // 2)]))
    say("popitem-last", timed(count // 2, lambda: [index.popitem() for _ in range(count // 2)]))


if __name__ == "__main__":
    with open(sys.argv[3], "w") as output:
        run(sys.argv[1], int(sys.argv[2]), lambda name, figure: output.write(f"{name} {figure}\n"))
