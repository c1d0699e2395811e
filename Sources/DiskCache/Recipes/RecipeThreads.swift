import DiskCacheCore
import DiskCacheEngine

/// The threads on which recipes do what blocks, for tasks or in the background.
enum RecipeThreads {
    /// For tasks.
    static let executor = BlockingExecutor()

    private static let background = PerProcess { ThreadPool(limit: 64) }

    /// Runs `job` in the background. Throws `limitReached`.
    static func submit(_ job: @escaping @Sendable () -> Void) throws {
        do throws(SystemError) {
            try background.current.submit(job)
        } catch {
            throw CacheError(.limitReached, "the system gives no thread", errno: error.errno)
        }
    }
}
