internal import DiskCacheEngine

extension FanoutCache {
    /// The settings as of now; `sizeLimit` is that of all shards together. No lock.
    public var settings: Cache.Settings {
        get throws {
            let all = try parts.map { try $0.settings }
            var settings = all[0]
            settings.sizeLimit = all.reduce(0) { $0.addingClamped($1.sizeLimit) }
            return settings
        }
    }

    /// Changes the settings of all shards, for all processes; as ``Cache/configure(_:)``.
    ///
    /// Takes the locks of all shards, so nobody comes between: `change` is called once. Throws `invalidSetting`, `timeout`, what
    /// `transact` throws, and whatever `change` throws; then nothing has changed.
    public func configure(_ change: (inout Cache.Settings) throws -> Void) throws {
        try transact {
            var wanted = try settings
            try change(&wanted)
            for (number, part) in parts.enumerated() {
                let share = wanted.sizeLimit.share(number, of: shardCount)
                let settings = wanted
                try part.configure {
                    $0 = settings
                    $0.sizeLimit = share
                }
            }
        }
    }
}

extension Cache.Configuration {
    /// What is applied to the settings of a shard when it is opened. `first`: the settings of the first shard, which those of another
    /// that is new are made after.
    func configuringShard(
        _ number: Int, of count: Int, like first: DiskCacheEngine.Settings?
    ) -> @Sendable (inout DiskCacheEngine.Settings, Bool) throws(EngineError) -> Void {
        var own = self
        own.sizeLimit = sizeLimit?.share(number, of: count)
        let configure = own.options().configure
        return { (settings, isNew) throws(EngineError) in
            if isNew {
                var total = settings.sizeLimit
                if let first {
                    settings = first
                    total = first.sizeLimit.multipliedClamped(by: count)
                }
                settings.sizeLimit = total.share(number, of: count)
            }
            try configure?(&settings, isNew)
        }
    }
}

extension FixedWidthInteger {
    /// The sum, or the number next to it that there is: what files say may be anything.
    func addingClamped(_ other: Self) -> Self {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}

extension Int64 {
    /// One of `count` shares that add up to this. Nothing negative is shared out: the settings of a cache refuse it.
    fileprivate func share(_ number: Int, of count: Int) -> Int64 {
        guard self >= 0 else { return self }
        return self / Int64(count) + (Int64(number) < self % Int64(count) ? 1 : 0)
    }

    fileprivate func multipliedClamped(by other: Int) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: Int64(other))
        return overflow ? .max : product
    }
}
