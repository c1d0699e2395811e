"""Operations that need an order: queues, iteration, expiry, tags, eviction, statistics."""

from differences import differ
from operations import Difference, Plain, operation
from sides import ABSENT, QueueKey, decode, encode


@operation("stats", 2, "stats")
class Stats:
    @staticmethod
    def make(random, world):
        # DiskCache's counters are undone with a transaction.
        return None if world.depth else (random.choice([None, True, True, False]), random.random() < 0.2)

    @staticmethod
    def run(world, enable, reset):
        def theirs():
            on = world.theirs.cache.reset("statistics")
            hits, misses = world.theirs.cache.stats(bool(on) if enable is None else enable, reset)
            return {"hits": hits, "misses": misses}
        if enable is None:
            differ("stats asks only")
        world.both(lambda: world.ours.request("stats", enable=enable, reset=reset), theirs)
