import DiskCacheCore
import DiskCacheEngine

/// The threads on which recipes do what blocks, for tasks or in the background.
enum RecipeThreads {
    /// For tasks.
    static let executor = BlockingExecutor()

    private static let background = PerProcess { ThreadPool(limit: 64) }

    /// Runs `job`, which may wait for the disk, on a thread for tasks, whether the current one is cancelled or not; if the system gives no
    /// thread, `failed` here instead.
    static func perform(_ job: @escaping @Sendable () -> Void, orFail failed: (CacheError) -> Void) {
        do throws(SystemError) {
            try executor.pool(.writing).submit(job)
        } catch {
            failed(CacheError(.limitReached, "the system gives no thread", errno: error.errno))
        }
    }

    /// Runs `job` in the background. Throws `limitReached`.
    static func submit(_ job: @escaping @Sendable () -> Void) throws {
        do throws(SystemError) {
            try background.current.submit(job)
        } catch {
            throw CacheError(.limitReached, "the system gives no thread", errno: error.errno)
        }
    }
}
