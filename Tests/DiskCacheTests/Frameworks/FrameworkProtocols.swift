// Protocols with the signatures of Vapor 4 (`Cache`, and what it names of NIO) and Hummingbird 2 (`PersistDriver`), so that adapters can be
// compiled and run without either.

/// Stands for Vapor and NIO.
enum Vapor {
    protocol Cache: Sendable {
        func get<T>(_ key: String, as type: T.Type) -> EventLoopFuture<T?> where T: Decodable
        func set<T>(_ key: String, to value: T?) -> EventLoopFuture<Void> where T: Encodable
        func set<T>(
            _ key: String, to value: T?, expiresIn expirationTime: CacheExpirationTime?
        ) -> EventLoopFuture<Void> where T: Encodable
        func `for`(_ request: Request) -> Self
    }

    enum CacheExpirationTime: Sendable {
        case seconds(Int)
        case minutes(Int)
        var seconds: Int {
            switch self {
            case .seconds(let seconds): seconds
            case .minutes(let minutes): 60 * minutes
            }
        }
    }

    struct EventLoopFuture<Value> {
        let result: Result<Value, any Error>
        func wait() throws -> Value { try result.get() }
    }

    struct EventLoop: Sendable {
        func makeCompletedFuture<Success>(withResultOf body: () throws -> Success) -> EventLoopFuture<Success> {
            EventLoopFuture(result: Result { try body() })
        }
    }

    struct Request: Sendable { let eventLoop = EventLoop() }
}

/// Stands for Hummingbird.
enum Hummingbird {
    protocol PersistDriver: Sendable {
        func create<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws
        func set<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws
        func get<Object: Codable & Sendable>(key: String, as: Object.Type) async throws -> Object?
        func remove(key: String) async throws
    }

    enum PersistError: Error { case duplicate, invalidConversion }
}
