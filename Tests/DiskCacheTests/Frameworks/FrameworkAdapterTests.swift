import DiskCache
import Testing

/// A namespaced cache fits the cache protocols of Vapor and Hummingbird in a few lines.
@Suite struct FrameworkAdapterTests {
    typealias EventLoop = Vapor.EventLoop
    typealias EventLoopFuture = Vapor.EventLoopFuture
    typealias CacheExpirationTime = Vapor.CacheExpirationTime
    typealias Request = Vapor.Request
    typealias PersistDriver = Hummingbird.PersistDriver
    typealias PersistError = Hummingbird.PersistError

    // adapter for Vapor
    struct DiskVaporCache: Vapor.Cache {
        let cache: NamespacedCache
        let eventLoop: EventLoop

        func get<T: Decodable>(_ key: String, as type: T.Type) -> EventLoopFuture<T?> {
            eventLoop.makeCompletedFuture { try cache.get(key, as: T.self) }
        }
        func set<T: Encodable>(_ key: String, to value: T?) -> EventLoopFuture<Void> {
            set(key, to: value, expiresIn: nil)
        }
        func set<T: Encodable>(
            _ key: String, to value: T?, expiresIn time: CacheExpirationTime?
        ) -> EventLoopFuture<Void> {
            eventLoop.makeCompletedFuture {
                if let value {
                    try cache.set(key, value, expire: time.map { .after(.seconds($0.seconds)) })
                } else {
                    try cache.delete(key)
                }
            }
        }
        func `for`(_ request: Request) -> Self { Self(cache: cache, eventLoop: request.eventLoop) }
    }
    // end of the adapter

    // adapter for Hummingbird
    struct DiskPersistDriver: PersistDriver {
        let cache: NamespacedCache

        func create<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws {
            let isNew = try await cache.async.add(key, value, expire: expires.map { .after($0) })
            guard isNew else { throw PersistError.duplicate }
        }
        func set<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws {
            if let expires {
                try await cache.async.set(key, value, expire: .after(expires))
            } else {
                try await cache.async.update(key, default: value) { $0 = value }  // what expires keeps its time
            }
        }
        func get<Object: Codable & Sendable>(key: String, as: Object.Type) async throws -> Object? {
            do {
                return try await cache.async.get(key, as: Object.self)
            } catch CacheError.Code.typeMismatch {
                throw PersistError.invalidConversion
            }
        }
        func remove(key: String) async throws { try await cache.async.delete(key) }
    }
    // end of the adapter

    struct User: Codable, Equatable, Sendable { var name: String }

    @Test func vapor() throws {
        let request = Vapor.Request()
        let shards = try FanoutCache(shards: 2)
        let cache = DiskVaporCache(
            cache: NamespacedCache(shards, prefix: "vapor", expire: .after(.seconds(300)), retry: false),
            eventLoop: request.eventLoop
        ).for(request)
        try cache.set("user", to: User(name: "Ada")).wait()
        #expect(try cache.get("user", as: User.self).wait() == User(name: "Ada"))
        try cache.set("user", to: User(name: "Bob"), expiresIn: .minutes(1)).wait()
        #expect(try cache.get("user", as: User.self).wait() == User(name: "Bob"))
        try cache.set("user", to: User?.none).wait()
        #expect(try cache.get("user", as: User.self).wait() == nil)
    }

    @Test func hummingbird() async throws {
        let driver = DiskPersistDriver(cache: NamespacedCache(try Cache(), prefix: "hummingbird"))
        try await driver.create(key: "user", value: User(name: "Ada"), expires: .seconds(86_400))
        await #expect(throws: PersistError.duplicate) {
            try await driver.create(key: "user", value: User(name: "Bob"), expires: nil)
        }
        try await driver.set(key: "user", value: User(name: "Bob"), expires: nil)
        #expect(try await driver.get(key: "user", as: User.self) == User(name: "Bob"))
        #expect(try driver.cache.entry("user", as: User.self)?.expires != nil)
        await #expect(throws: PersistError.invalidConversion) { try await driver.get(key: "user", as: Int.self) }
        try await driver.remove(key: "user")
        #expect(try await driver.get(key: "user", as: User.self) == nil)
    }
}
