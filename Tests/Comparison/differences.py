"""Every deliberate difference between DiskCache and this engine, in one table.

A row is what we do otherwise, with the section of the notes on DiskCache's behaviour that it comes from. The random
runs go by a row's name where they step around a difference or help DiskCache over it, and count how often. Where a row
can be shown by a few calls, `show` makes them on both sides, so that a row that isn't true any more fails.
"""

import json
import math
import os
import subprocess

import diskcache

from sides import ABSENT, Absent, Refused, Stream


class Row:
    def __init__(self, name, section, what, show=None, verbs=(), kind="cache"):
        self.name = name
        self.section = section
        self.what = what
        self.show = show
        self.verbs = verbs
        self.kind = kind
        self.count = 0


def refused(call, code):
    try:
        result = call()
    except Refused as error:
        return error.code == code
    raise AssertionError(f"{result!r} instead of {code}")


def show_boundary(ours, theirs, clock):
    """Expired from the very instant on: DiskCache's incr still counts on an item that its get no longer shows."""
    ours.request("set", key="k", value=5, expire=1)
    theirs.cache.set("k", 5, expire=1)
    clock.now += 1
    ours.request("now", set=clock.now)
    return (ours.value("get", key="k") is ABSENT and theirs.cache.get("k") is None
            and ours.value("incr", key="k") == 1 and theirs.cache.incr("k") == 6)


def show_born_expired(ours, theirs, _clock):
    ours.request("set", key="k", value=1, expire=0)
    theirs.cache.set("k", 1, expire=0)
    return ours.request("count") == 0 and len(theirs.cache) == 1


def show_nan_key(ours, theirs, _clock):
    theirs.cache[math.nan] = 1
    return (refused(lambda: ours.request("set", key={"$float": "nan"}, value=1), "keyInvalid")
            and len(theirs.cache) == 1 and math.nan not in theirs.cache)


def show_nan_value(ours, theirs, _clock):
    ours.request("set", key="k", value={"$float": "nan"})
    theirs.cache["k"] = math.nan
    return math.isnan(ours.value("get", key="k")) and theirs.cache["k"] is None


def show_newlines(ours, theirs, _clock):
    text = "a\r\nb\r" * 100
    ours.request("set", key="k", value=text)
    theirs.cache["k"] = text
    return ours.value("get", key="k") == text and theirs.cache["k"] == "a\nb\n" * 100


def show_threshold(ours, theirs, _clock):
    text = "é" * 40
    ours.request("set", key="k", value=text)
    theirs.cache["k"] = text
    return ours.entry("get", key="k")[1].in_file and theirs.row("k")[3] is None


def show_float_plus_integer(ours, theirs, _clock):
    ours.request("set", key="k", value=1.5)
    theirs.cache["k"] = 1.5
    return refused(lambda: ours.request("incr", key="k"), "notANumber") and theirs.cache.incr("k") == 2.5


def show_big_default(ours, theirs, _clock):
    return (refused(lambda: ours.request("incr", key="k", by=1, default=2**63 - 1), "overflow")
            and theirs.cache.incr("k", 1, 2**63 - 1) == 2**63)


def show_big_integers(ours, theirs, _clock):
    theirs.cache["k"] = 2**63
    return refused(lambda: ours.request("set", key="k", value=2**63), "badRequest") and theirs.cache["k"] == 2**63


def show_members(ours, theirs, _clock):
    ours.request("set", key={"b": 1, "a": 2}, value=1)
    theirs.cache[{"b": 1, "a": 2}] = 1
    return ours.request("contains", key={"a": 2, "b": 1}) and {"a": 2, "b": 1} not in theirs.cache


def show_savepoints(ours, theirs, _clock):
    for side in [ours.request, theirs_verb(theirs)]:
        side("begin")
        side("set", key="outer", value=1)
    ours.request("begin")
    ours.request("set", key="inner", value=1)
    ours.request("rollback")
    try:
        with theirs.cache.transact():
            theirs.cache["inner"] = 1
            raise Refused("undone")
    except Refused:
        pass
    ours.request("commit")
    theirs.end(commits=True)
    return not ours.request("contains", key="inner") and "inner" in theirs.cache


def theirs_verb(theirs):
    def verb(name, **arguments):
        return theirs.begin() if name == "begin" else theirs.cache.set(**arguments)
    return verb


def show_rollback_files(ours, theirs, _clock):
    ours.request("set", key="k", value="x" * 1000)
    theirs.cache["k"] = "x" * 1000
    theirs.cache.disk.remove = theirs.remove_file
    ours.request("begin")
    ours.request("set", key="k", value="y")
    ours.request("rollback")
    theirs.begin()
    theirs.cache["k"] = "y"
    theirs.end(commits=False)
    return ours.value("get", key="k") == "x" * 1000 and theirs.cache.get("k") is None


def show_queue_keys(ours, theirs, _clock):
    ours.request("set", key=5, value=1)
    theirs.cache[5] = 1
    pushed = ours.request("push", value=2)
    return pushed == {"$queue": None, "number": 500_000_000_000_000} and theirs.cache.push(2) == 6


def show_gone_number(ours, theirs, _clock):
    key = ours.request("push", value=1)
    number = theirs.cache.push(1)
    ours.request("pull")
    theirs.cache.pull()
    theirs.cache[number] = 2
    return refused(lambda: ours.request("set", key=key, value=2), "keyNotFound") and theirs.cache[number] == 2


def show_class_order(ours, theirs, _clock):
    for key in [b"\x90", [1]]:
        ours.request("set", key={"$bytes": "kA=="} if key == b"\x90" else key, value=1)
        theirs.cache[key] = 1
    return (ours.request("keys", order="sorted") == [{"$bytes": "kA=="}, [1]]
            and list(theirs.cache.iterkeys()) == [[1], b"\x90"])


def show_expire_batches(ours, theirs, clock):
    for number in range(250):
        ours.request("set", key=number, value=0, expire=1)
        theirs.cache.set(number, 0, expire=1)
    clock.now += 2
    ours.request("now", set=clock.now)
    return ours.request("expire") == 250 and theirs.cache.expire() == 100


def show_evict_none(ours, theirs, _clock):
    ours.request("set", key="k", value=1)
    theirs.cache["k"] = 1
    return ours.request("evictUntagged") == 1 and theirs.cache.evict(None) == 0


def show_cull_none(ours, theirs, clock):
    ours.request("settings", set={"evictionPolicy": "none"})
    theirs.cache.reset("eviction_policy", "none")
    ours.request("set", key="k", value=1, expire=1)
    theirs.cache.set("k", 1, expire=1)
    clock.now += 2
    ours.request("now", set=clock.now)
    return ours.request("cull") == 1 and theirs.cache.cull() == 0 and len(theirs.cache) == 0


def show_stats(ours, theirs, _clock):
    ours.request("stats")
    theirs.cache.stats()
    return not ours.request("settings")["statistics"] and theirs.cache.reset("statistics") == 1


def show_settings(ours, theirs, _clock):
    theirs.cache.reset("time_out", 1)
    return refused(lambda: ours.request("settings", set={"time_out": 1}), "badRequest")


def show_length(ours, theirs, _clock):
    ours.request("extend", values=list(range(5)))
    ours.request("maxLength", set=3)
    theirs.deque.extend(range(5))
    theirs.deque.maxlen = 3
    ours.request("close")
    again = diskcache.Deque(directory=theirs.deque.directory)
    return ours.request("maxLength") == 3 and again.maxlen == math.inf


def show_no_length(ours, theirs, _clock):
    theirs.deque.append(1)
    try:
        theirs.deque.maxlen = None
    except TypeError:
        return ours.request("maxLength", set=None) is None
    return False


def show_settings_stay(ours, theirs, _clock):
    theirs.cache.reset("eviction_policy", "least-recently-used")
    diskcache.Deque(directory=theirs.cache.directory)
    taken = theirs.cache.reset("eviction_policy") == "none"
    return taken and refused(lambda: ours.request("settings", set={"evictionPolicy": "least-recently-used"}),
                             "invalidSetting")


def show_index_expiry(ours, theirs, clock):
    theirs.cache.set("k", 1, expire=1)
    clock.now += 2
    return "k" not in theirs.index and refused(lambda: ours.request("set", key="k", value=1, expire=1), "badRequest")


def show_numbers_in_shards(ours, theirs, _clock):
    for key in (1, 1.0):
        ours.request("set", key=key, value=1)
        theirs.cache[key] = 1
    return ours.request("count") == 1 and len(theirs.cache) == 2


def show_shard_count(ours, theirs, _clock):
    for number in range(100):
        ours.request("set", key=number, value=1)
        theirs.cache[str(number)] = 1
    ours.request("close")
    other = subprocess.run([ours.tool, "shell", "--json", "--kind", "fanout", "--shards", "4", ours.directory],
                           input=b"", capture_output=True)
    with diskcache.FanoutCache(theirs.cache.directory, shards=4) as fewer:
        found = sum(str(number) in fewer for number in range(100))
    return (json.loads(other.stdout)["error"]["code"] == "shardCountMismatch" and other.returncode == 2
            and ours.request("count") == 100 and 0 < found < 100)


def show_total_size_limit(ours, theirs, _clock):
    ours.request("settings", set={"sizeLimit": 10**7 + 3})
    theirs.cache.reset("size_limit", 10**7)
    ours.request("close")
    with diskcache.FanoutCache(theirs.cache.directory) as again:
        kept = again.size_limit * 8
    return (ours.request("settings")["sizeLimit"] == 10**7 + 3
            and theirs.cache.size_limit == 10**7 and kept == 2**30)


def show_orders_and_queues(ours, theirs, _clock):
    for number in range(50):
        ours.request("set", key=number * 7 % 50, value=1)
        ours.request("push", value=number, prefix="q")
    for method in ("push", "pull", "peek", "peekitem", "iterkeys"):
        try:
            getattr(theirs.cache, method)
            return False
        except AssertionError:
            pass
    return (ours.request("keys", order="sorted", limit=50) == list(range(50))
            and [ours.request("pull", prefix="q")[1] for _ in range(50)] == list(range(50)))


def show_names(ours, theirs, _clock):
    # Ours is a call of Swift, whose tests have the names; DiskCache's leads out.
    inner = theirs.cache.cache("../../outside")
    inner.close()
    return os.path.exists(os.path.join(os.path.dirname(theirs.cache.directory), "outside"))


TABLE = [
    Row("expiry boundary", "1", "an item is expired from the very instant on, for every verb", show_boundary),
    Row("NaN key", "1", "refused; DiskCache stores rows that nothing can find", show_nan_key),
    Row("NaN value", "1", "comes back; DiskCache makes it None", show_nan_value),
    Row("newlines", "1", "large texts are byte-exact; DiskCache changes CR and CRLF to LF", show_newlines),
    Row("threshold in bytes", "1", "UTF-8 bytes decide whether a text gets a file; DiskCache counts characters",
        show_threshold),
    Row("integers beyond 64 bits", "1, 7", "refused by the shell; DiskCache serialises them", show_big_integers),
    Row("settings are known", "2", "an unknown setting is an error", show_settings),
    Row("born expired", "3", "what is expired when it is stored leaves no row, and culls no other", show_born_expired),
    Row("order of members", "11", "equal objects are one key, whatever the order of their members", show_members),
    Row("size limit", "5", "victims go until what is left fits, never the item just written, and what never fits is refused; DiskCache culls "
        "a quota. "
        "The runs take as many from DiskCache as we took, by its own order"),
    Row("own rows", "5", "a transaction's own rows are not culled before it has committed, expired or not"),
    Row("untagged", "6a", "evictUntagged; DiskCache's evict(None) removes nothing", show_evict_none, ["evictUntagged"]),
    Row("queue keys", "6b", "a queue's items are keys of a class of their own; DiskCache's integers and texts of users "
        "join queues", show_queue_keys, ["push"]),
    Row("a number comes from push", "6b", "set, add and incr of a queue key that is gone are refused",
        show_gone_number, ["push", "pull"]),
    Row("peek takes no lock", "6b", "it steps over expired items; DiskCache deletes them. In a transaction we do too"),
    Row("order of classes", "6c", "null, numbers, texts, bytes, serialised, queues; DiskCache mixes bytes and "
        "serialised keys, and shows queues' as numbers and texts", show_class_order, ["keys"]),
    Row("float plus integer", "7", "counting on a float takes a float", show_float_plus_integer),
    Row("default beyond 64 bits", "7", "overflow, as any sum; DiskCache stores it serialised", show_big_default),
    Row("stats asks only", "7", "stats without arguments changes nothing; DiskCache's turns them on", show_stats,
        ["stats"]),
    Row("counted for good", "7", "hits, misses and accesses of a transaction that is rolled back stay counted"),
    Row("expire finds all", "3", "DiskCache's skips items that expire at one time across its batches",
        show_expire_batches, ["expire"]),
    Row("cull counts", "5", "cull says what it removed under policy none too", show_cull_none, ["cull"]),
    Row("savepoints", "9", "a nested transaction is undone alone; DiskCache keeps its writes", show_savepoints),
    Row("rollback loses files", "9", "large values come back; DiskCache has deleted their files", show_rollback_files),
    Row("length is stored", "13", "a deque's maximum is stored, and a rollback takes it back; DiskCache's is its object's",
        show_length, kind="deque"),
    Row("no length", "13", "a maximum of null is none; DiskCache's setter fails", show_no_length, kind="deque"),
    Row("settings stay", "13, 14", "a deque or an index evicts nothing, and takes no directory that is something else; DiskCache "
        "changes the policy of whatever it opens", show_settings_stay, kind="deque"),
    Row("no expiry", "14", "an index has no items that expire, whoever wrote them", show_index_expiry, kind="index"),
    Row("equal by type", "13", "values are equal that are stored alike; to Python 1, 1.0 and True are equal. The runs have no such "
        "values", kind="deque"),
    Row("numbers in shards", "12", "equal numbers are one key; DiskCache's integers and floats lie in different shards",
        show_numbers_in_shards, kind="fanout"),
    Row("order of shards", "12", "insertion order is shard by shard on both sides, but the shards are others: XXH64, not "
        "Adler-32 modulo their number. The runs compare the keys that share both shards", kind="fanout"),
    Row("culling in shards", "12", "a write removes expired items of its own shard; the shards are others. The runs cull by hand",
        kind="fanout"),
    Row("shard count", "12", "stored and verified; DiskCache's items can't be found with another number",
        show_shard_count, kind="fanout"),
    Row("total size limit", "12", "sizeLimit is that of all shards, and kept; DiskCache's reset sets it for each, and "
        "opening without it sets 1 GiB", show_total_size_limit, kind="fanout"),
    Row("orders and queues in shards", "12", "sorted keys are merged and queues are offered; not so in DiskCache",
        show_orders_and_queues, kind="fanout"),
    Row("names stay inside", "12", "a name can't lead out of the directory", show_names, kind="fanout"),
]
BY_NAME = {row.name: row for row in TABLE}


def differ(name):
    """Says that a row was gone by."""
    BY_NAME[name].count += 1


def same(ours, theirs):
    """Whether two results are equal, in type too, but for rows of the table."""
    if isinstance(ours, Absent) or isinstance(theirs, Absent):
        return ours is theirs
    if isinstance(ours, float) and math.isnan(ours):
        if theirs is None:
            differ("NaN value")
        return theirs is None or isinstance(theirs, float) and math.isnan(theirs)
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, str) and ours != theirs and "\r" in ours:
        if ours.replace("\r\n", "\n").replace("\r", "\n") == theirs:
            differ("newlines")
            return True
    if isinstance(ours, float) and ours == 0 and theirs == 0:
        return True
    return ours == theirs


assert len(BY_NAME) == len(TABLE) and Stream
