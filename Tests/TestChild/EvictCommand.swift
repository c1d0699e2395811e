import DiskCache
import DiskCacheEngine
import TestSupport

/// `evict`: writes random items into a cache that is always full, and reads some; a value tells its key and its own length. With `tells`
/// it says the key of each that is there until it is evicted, in four bytes.
enum EvictCommand {
    static func run(_ arguments: Arguments) throws {
        if let name = arguments["point"], let point = FaultPoint(rawValue: name) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return }
        }
        var configuration = Cache.Configuration()
        configuration.sizeLimit = Int64(arguments.number("limit"))
        configuration.evictionPolicy = EvictionPolicy(rawValue: arguments.text("policy"))
        configuration.minFileSize = 20_000
        configuration.syncInterval = .milliseconds(5)
        let cache = try Cache(directory: arguments.text("directory"), configuration: configuration)
        var random = ReplayableRandom(seed: UInt64(arguments.number("seed")))
        let longest = arguments.number("longest", default: 2000)
        var told = -1
        for _ in 0..<arguments.number("count") {
            let key = Int.random(in: 0..<arguments.number("keys", default: 1000), using: &random)
            // Now and then one with a file of its own.
            let length = random.oneIn(50) ? 20_000 + longest : Int.random(in: 4...longest, using: &random)
            let value = content(key, length)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                // What was there may expire.
                _ = try cache.add(key, value)
                continue
            case 1:
                // The one that was told last stays.
                if key == told { continue }
                try cache.set(key, value, expire: .after(.milliseconds(Int.random(in: 1...50, using: &random))))
                continue
            case 2:
                if let found = try cache.get(key, as: [UInt8].self), found != content(key, found.count) {
                    throw CacheError(.corrupted, "key \(key) holds another's value")
                }
                continue
            case 3:
                try cache.setMany((0..<5).map { (key + $0, content(key + $0, 100)) })
                continue
            default: try cache.set(key, value)
            }
            guard arguments.number("tells") == 1 else { continue }
            withUnsafeBytes(of: UInt32(key).littleEndian) { TestChild.put($0) }
            told = key
        }
        try cache.close()
    }

    private static func content(_ key: Int, _ length: Int) -> [UInt8] {
        var value = [UInt8](repeating: UInt8(truncatingIfNeeded: key &* 31 &+ length), count: max(length, 4))
        for byte in 0..<4 { value[byte] = UInt8(truncatingIfNeeded: key >> (8 * byte)) }
        return value
    }
}
