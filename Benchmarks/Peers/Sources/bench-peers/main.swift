import Driver

// In the order of the tables; this project's own come first.
Driver.main(
    contestants: Driver.own + LMDBEngine.contestants + TkrzwEngine.contestants + LevelDBEngine.contestants
        + RocksDBEngine.contestants + SQLiteEngine.contestants + GRDBEngine.contestants + RedisEngine.contestants
        + MemcachedEngine.contestants + PythonEngine.contestants)
