"""The two sides of the comparison: DiskCache itself, and this engine behind `diskcache shell --json`."""

import base64
import collections
import functools
import io
import json
import math
import os
import re
import subprocess

import diskcache
import diskcache.core

QueueKey = collections.namedtuple("QueueKey", "prefix number")
Entry = collections.namedtuple("Entry", "value expires tag stored in_file")


class Absent:
    """What both sides say where there is nothing."""

    def __repr__(self):
        return "absent"


ABSENT = Absent()


class Stream:
    """A value that is stored by reading it from a file, not as one piece."""

    def __init__(self, data):
        self.data = data

    def __repr__(self):
        return f"Stream({len(self.data)} bytes)"


class Refused(Exception):
    """An error, by the name of its code on our side."""

    def __init__(self, code, message=""):
        super().__init__(f"{code}: {message}")
        self.code = code


class Clock:
    """The wall clock that both sides see. It moves in eighths of a second, so that no rounding comes between."""

    START = 2_000_000_000.0

    def __init__(self):
        self.now = self.START

    def time(self):
        return self.now

    @staticmethod
    def sleep(_seconds):
        raise AssertionError("DiskCache waits for its own lock")


def encode(value):
    """A Python value as the shell has it in JSON."""
    if isinstance(value, QueueKey):
        return {"$queue": value.prefix, "number": value.number}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    return value


def decode(json_value):
    """What `encode` made of it; only whole values are special, as in the shell."""
    if isinstance(json_value, dict):
        names = set(json_value)
        if names == {"$absent"}:
            return ABSENT
        if names == {"$bytes"}:
            return base64.b64decode(json_value["$bytes"])
        if names == {"$float"}:
            return float(json_value["$float"])
        if names == {"$queue", "number"}:
            return QueueKey(json_value["$queue"], json_value["number"])
    return json_value


class Ours:
    """This engine, in a process of its own."""

    def __init__(self, tool, directory, configuration, options=()):
        self.tool, self.directory = tool, directory
        arguments = [*options, *(f"{name}={json.dumps(value).strip(chr(34))}" for name, value in configuration.items())]
        self.process = subprocess.Popen(
            [tool, "shell", "--json", *arguments, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.requests = 0

    def request(self, verb, **arguments):
        """Does a verb; raises Refused for an error."""
        self.requests += 1
        line = json.dumps({"do": verb, **arguments, "id": self.requests}, ensure_ascii=False)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise AssertionError(f"the shell ended (status {self.process.wait()}) at {line}")
        answer = json.loads(answer)
        if answer.get("id") != self.requests:
            raise AssertionError(f"{line} was answered by {answer}")
        if "error" in answer:
            raise Refused(answer["error"]["code"], answer["error"]["message"])
        return answer["ok"]

    def knows(self, verb):
        """Whether the shell has a verb; it isn't done, for an argument is wrong."""
        try:
            self.request(verb, nonsense=1)
        except Refused as error:
            return "there is no verb" not in str(error)
        raise AssertionError(f"{verb} takes nonsense")

    def value(self, verb, **arguments):
        return decode(self.request(verb, **arguments))

    def entry(self, verb, **arguments):
        """Key and entry, or ABSENT twice."""
        found = decode(self.request(verb, entry=True, **arguments))
        if found is ABSENT:
            return ABSENT, ABSENT
        if found["bytes"] < 0:
            raise AssertionError(f"{found} has a negative length")
        return decode(found["key"]), Entry(
            decode(found["value"]), found["expires"], decode(found["tag"]), found["storedAt"], found["path"] is not None)

    def outgoing(self, value):
        """A value as the argument of a request."""
        if isinstance(value, Stream):
            path = os.path.join(os.path.dirname(self.directory), "stream")
            with open(path, "wb") as file:
                file.write(value.data)
            return {"$file": path}
        return encode(value)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


NUMBERED = re.compile(r"^(.*)-([0-9]{15})$", re.DOTALL)


class Theirs:
    """DiskCache. Where a row of the table of differences says so, it is helped, by the methods at the end."""

    # What the shell is told more, and which verbs DiskCache doesn't have.
    settings = {}
    lacks = ()

    def __init__(self, directory, configuration, clock, unnamed_queue):
        diskcache.core.time = clock
        self.clock = clock
        self.unnamed_queue = unnamed_queue
        names = {"minFileSize": "disk_min_file_size", "cullLimit": "cull_limit", "statistics": "statistics",
                 "evictionPolicy": "eviction_policy", "tagIndex": "tag_index"}
        settings = {names[name]: value for name, value in configuration.items() if name in names}
        self.cache = self.open(directory, size_limit=2**40, sqlite_synchronous=0, **settings)
        self.scopes = []
        self.removals = []
        self.remove_file = self.shards[0].disk.remove
        for shard in self.shards:
            shard.disk.remove = functools.partial(self.defer_removal, shard.disk.remove)

    def open(self, directory, **settings):
        return diskcache.Cache(directory, **settings)

    @property
    def shards(self):
        """The caches that it is made of: itself."""
        return [self.cache]

    def shard(self, _key):
        """The one of them that has a key."""
        return self.cache

    def arranged(self, keys, key=lambda element: element):
        """Elements in insertion order, in the form in which both sides can be compared."""
        return keys

    def canonical(self, key):
        """A key of ours in the form that DiskCache gives back."""
        return key

    def key(self, key):
        """A key as DiskCache has it: it shows queues' items as integers and texts."""
        if isinstance(key, QueueKey):
            return key.number if key.prefix is None else f"{key.prefix}-{key.number:015d}"
        return key

    def shown(self, key):
        """A key of DiskCache's as ours has it."""
        if type(key) is str and (match := NUMBERED.match(key)):
            return QueueKey(match[1], int(match[2]))
        if type(key) is int and self.unnamed_queue and 0 < key < 999999999999999:
            return QueueKey(None, key)
        return key

    def row(self, key):
        """rowid, store time, expiry, file name and value of a key, expired or not; None: there is no row."""
        key = self.key(key)
        db_key, raw = self.cache.disk.put(key)
        rows = self.shard(key)._sql(
            "SELECT rowid, store_time, expire_time, filename, value FROM Cache WHERE key = ? AND raw = ?",
            (db_key, raw)).fetchall()
        return rows[0] if rows else None

    def is_live(self, key):
        row = self.row(key)
        return row is not None and (row[2] is None or row[2] > self.clock.now)

    def call(self, method, *arguments, **keywords):
        """Calls a method; Python's errors become Refused."""
        try:
            return getattr(self.cache, method)(*arguments, **keywords)
        except KeyError as error:
            raise Refused("keyNotFound", str(error)) from None
        except TypeError as error:
            raise Refused("notANumber", str(error)) from None
        except OverflowError as error:
            raise Refused("overflow", str(error)) from None

    def outgoing(self, value):
        """Value and keywords for `set` and the like."""
        if isinstance(value, Stream):
            return io.BytesIO(value.data), {"read": True}
        return value, {}

    def sorted_keys(self, reverse=False):
        return [self.shown(key) for key in self.cache.iterkeys(reverse)]

    def keys(self):
        return [self.shown(key) for key in self.cache]

    def keys_by_tag(self, tag):
        return [self.shown(shard.disk.get(*row)) for shard in self.shards for row in
                shard._sql("SELECT key, raw FROM Cache WHERE tag = ? ORDER BY rowid", (tag,)).fetchall()]

    def items(self):
        """All live items in insertion order."""
        sql = "SELECT key, raw, expire_time, mode, filename, value FROM Cache ORDER BY rowid"
        return [[self.shown(shard.disk.get(key, raw)), shard.disk.fetch(mode, name, value, False)]
                for shard in self.shards for key, raw, expires, mode, name, value in shard._sql(sql).fetchall()
                if expires is None or expires > self.clock.now]

    def expire(self, now):
        return self.cache.expire(now)

    @property
    def cull_limit(self):
        return self.shards[0].cull_limit

    @cull_limit.setter
    def cull_limit(self, value):
        for shard in self.shards:
            shard.cull_limit = value

    def set_min_file_size(self, value):
        for shard in self.shards:
            shard.disk.min_file_size = value

    # Transactions whose ends are calls of their own.

    def begin(self):
        if not self.scopes:
            scope = self.cache.transact()
            scope.__enter__()
            self.scopes.append(scope)
        else:
            self.scopes.append(f"level{len(self.scopes)}")
            for shard in self.shards:
                shard._sql(f"SAVEPOINT {self.scopes[-1]}")
        self.removals.append([])

    def end(self, commits):
        scope = self.scopes.pop()
        removals = self.removals.pop()
        if isinstance(scope, str):
            for shard in self.shards:
                if not commits:
                    shard._sql(f"ROLLBACK TO {scope}")
                shard._sql(f"RELEASE {scope}")
        elif commits:
            scope.__exit__(None, None, None)
        else:
            try:
                scope.__exit__(Undone, Undone(), None)
            except Undone:
                pass
        if commits and self.removals:
            self.removals[-1] += removals
        elif commits:
            for remove, name in removals:
                remove(name)

    # Help, each for a row of the table.

    def defer_removal(self, remove, name):
        """Files go when the outermost transaction has committed ("rollback loses files")."""
        if self.removals:
            self.removals[-1].append((remove, name))
        else:
            remove(name)

    def drop_row(self, key):
        """Removes a row whether expired or not ("born expired")."""
        row = self.row(key)
        if row is not None:
            self.drop_rows([row], self.shard(self.key(key)))

    def drop_untagged(self):
        """Removes rows without a tag ("untagged")."""
        count = 0
        for shard in self.shards:
            rows = shard._sql("SELECT rowid, filename, tag FROM Cache WHERE tag IS NULL").fetchall()
            self.drop_rows(rows, shard)
            count += len(rows)
        return count

    def drop_rows(self, rows, shard):
        """Removes rows of which the first column is the rowid, and the one before the last the file name."""
        with shard._transact() as (sql, cleanup):
            for row in rows:
                sql("DELETE FROM Cache WHERE rowid = ?", (row[0],))
                cleanup(row[-2])

    def hits_and_misses(self):
        """As they are in the file, whatever this object knows."""
        return [shard._sql("SELECT value FROM Settings WHERE key = ?", (name,)).fetchone()[0]
                for shard in self.shards for name in ("hits", "misses")]

    def set_hits_and_misses(self, values):
        """Counts again what a rollback took back ("counted for good")."""
        for number, shard in enumerate(self.shards):
            for name, value in zip(("hits", "misses"), values[2 * number:]):
                shard.reset(name, value)

    def close(self):
        while self.scopes:
            self.end(commits=False)
        self.cache.close()


class Undone(Exception):
    """Makes DiskCache roll back."""
