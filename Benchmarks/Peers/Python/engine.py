"""Python's DiskCache for the driver of the benchmarks: does and times the steps that it is handed.

usage: engine.py cache|fanout DIRECTORY VALUE_SIZE SYNCHRONOUS SIZE_LIMIT POLICY

Each line of standard input is `run FILE`, `load FILE` or `close`. A file holds steps, words of 32 bits: a verb in the upper 5 (as in Verb.swift), a
key's number in the lower 27. Of `run`, the nanoseconds of each step take their place. The answer is `done` and the nanoseconds of all.
"""

import array
import base64
import random
import sys
import time

import diskcache

(SET, OVERWRITE, GET, MISS, PROBE, BORROW, ARRAY, STRING, MODIFY, DELETE, REMOVE, INCR, PUSH, PULL, RANGE, SORTED, INSERTION) = range(17)
MASK = (1 << 27) - 1
INSERT = (
    "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)"
    " VALUES (?, 1, ?, NULL, ?, 0, NULL, 0, 1, NULL, ?)"
)


def main(kind, directory, size, synchronous, limit, policy):
    settings = {"sqlite_synchronous": int(synchronous), "size_limit": int(limit)}
    if policy != "none":
        settings["eviction_policy"] = policy
    if kind == "fanout":
        cache = diskcache.FanoutCache(directory + "/diskcache", shards=8, **settings)
    else:
        cache = diskcache.Cache(directory + "/diskcache", **settings)
    size = int(size)
    random.seed(7)
    pool = base64.b64encode(random.randbytes(size + 65536))

    def key_of(number):
        return b"key-%012d" % number

    def value_of(number):
        start = (number & 511) * 128
        return b"%08d" % (number % 100000000) + pool[start + 8:start + size]

    def check(right, verb, number):
        if not right:
            raise RuntimeError("wrong answer of verb %d for key %d" % (verb, number))

    def step(verb, number):
        key = key_of(number)
        if verb == GET or verb == PROBE or verb == MISS:
            value = cache.get(key)
            if verb == GET:
                check(value is not None and len(value) == size, verb, number)
            elif verb == MISS:
                check(value is None, verb, number)
        elif verb == SET or verb == OVERWRITE:
            cache.set(key, value_of(number))
        elif verb == MODIFY:
            check(cache.get(key) is not None, verb, number)
            cache.set(key, value_of(number))
        elif verb == DELETE:
            check(cache.delete(key), verb, number)
        elif verb == REMOVE:
            cache.delete(key)
        elif verb == INCR:
            check(cache.incr(key) > 0, verb, number)
        elif verb == PUSH:
            cache.push(value_of(number))
        elif verb == PULL:
            check(len(cache.pull()[1]) == size, verb, number)
        elif verb == SORTED:
            check(sum(1 for _ in cache.iterkeys()) > 0, verb, number)
        elif verb == INSERTION:
            check(sum(1 for _ in cache) > 0, verb, number)
        else:
            raise RuntimeError("no verb %d" % verb)

    def read(path):
        steps = array.array("I")
        with open(path, "rb") as file:
            steps.frombytes(file.read())
        return steps

    def run(path):
        steps = read(path)
        clock = time.perf_counter_ns
        start = last = clock()
        for index, word in enumerate(steps):
            step(word >> 27, word & MASK)
            now = clock()
            steps[index] = min(now - last, 0xFFFFFFFF)
            last = now
        with open(path, "wb") as file:
            steps.tofile(file)
        return last - start

    def load(path):
        steps = read(path)
        start = time.perf_counter_ns()
        for begin in range(0, len(steps), 1000):
            part = steps[begin:begin + 1000]
            if kind == "fanout" or policy != "none":
                for word in part:
                    step(word >> 27, word & MASK)
            else:
                # The rows that `set` would store, which takes ten times as long.
                now = time.time()
                with cache.transact():
                    cache._con.executemany(INSERT, ((key_of(word & MASK), now, now, value_of(word & MASK)) for word in part))
        return time.perf_counter_ns() - start

    print("open", flush=True)
    for line in sys.stdin:
        words = line.split()
        try:
            if words[0] == "close":
                cache.close()
                print("closed", flush=True)
            else:
                print("done", {"run": run, "load": load}[words[0]](words[1]), flush=True)
        except Exception as error:
            print("failed:", repr(error).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
