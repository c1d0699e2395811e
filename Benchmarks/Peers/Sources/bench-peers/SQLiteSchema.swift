/// The schema and the settings of Python's DiskCache, for those that use SQLite by themselves.
enum SQLiteSchema {
    static func pragmas(isDurable: Bool) -> [String] {
        [
            "PRAGMA auto_vacuum = 1", "PRAGMA cache_size = 8192", "PRAGMA journal_mode = wal",
            "PRAGMA mmap_size = 67108864", "PRAGMA synchronous = \(isDurable ? 2 : 1)",
        ]
    }

    static let statements = [
        "CREATE TABLE IF NOT EXISTS Settings (key TEXT NOT NULL UNIQUE, value)",
        "INSERT OR IGNORE INTO Settings VALUES ('count', 0), ('size', 0)",
        """
        CREATE TABLE IF NOT EXISTS Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL,
        access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT,
        value BLOB)
        """,
        "CREATE UNIQUE INDEX IF NOT EXISTS Cache_key_raw ON Cache(key, raw)",
        "CREATE INDEX IF NOT EXISTS Cache_expire_time ON Cache (expire_time)",
        "CREATE INDEX IF NOT EXISTS Cache_store_time ON Cache (store_time)",
        """
        CREATE TRIGGER IF NOT EXISTS Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN
        UPDATE Settings SET value = value + 1 WHERE key = 'count'; END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS Settings_count_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN
        UPDATE Settings SET value = value - 1 WHERE key = 'count'; END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS Settings_size_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN
        UPDATE Settings SET value = value + NEW.size WHERE key = 'size'; END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS Settings_size_update AFTER UPDATE ON Cache FOR EACH ROW BEGIN
        UPDATE Settings SET value = value + NEW.size - OLD.size WHERE key = 'size'; END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS Settings_size_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN
        UPDATE Settings SET value = value - OLD.size WHERE key = 'size'; END
        """,
    ]

    static let set = """
        INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)
        VALUES (?1, 1, ?3, NULL, ?3, 0, NULL, 0, 1, NULL, ?2) ON CONFLICT(key, raw) DO UPDATE SET store_time = excluded.store_time,
        access_time = excluded.access_time, access_count = 0, size = 0, mode = 1, filename = NULL, value = excluded.value
        """
    static let get = "SELECT value FROM Cache WHERE key = ?1 AND raw = 1 AND (expire_time IS NULL OR expire_time > ?2)"
    static let delete = "DELETE FROM Cache WHERE key = ?1 AND raw = 1"
    static let incr = """
        INSERT INTO Cache (key, raw, store_time, access_time, value) VALUES (?1, 1, ?2, ?2, 1)
        ON CONFLICT(key, raw) DO UPDATE SET value = value + 1, store_time = excluded.store_time RETURNING value
        """
    static let range = "SELECT key, value FROM Cache WHERE key >= ?1 ORDER BY key LIMIT ?2"
    static let sorted = "SELECT key FROM Cache ORDER BY key"
    static let insertion = "SELECT key FROM Cache ORDER BY rowid"
}
