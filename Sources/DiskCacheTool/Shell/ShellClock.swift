import DiskCacheCore
import Synchronization

/// The wall clock of the shell's process: the system's, or one that stands where it was set.
final class ShellClock: Sendable {
    /// Microseconds since 1970; the least integer: the system's.
    private let standing = Atomic<Int64>(.min)

    /// Microseconds since 1970.
    var now: Int64 {
        let now = standing.load(ordering: .relaxed)
        return now == .min ? Cache.systemClock() : now
    }

    /// Stops the clock at so many seconds since 1970; null: it goes on as the system's.
    func set(_ json: JSON) throws {
        let seconds: Double
        switch json {
        case .null: return standing.store(.min, ordering: .relaxed)
        case .integer(let value): seconds = Double(value)
        case .float(let value): seconds = value
        default: throw BadRequest("the time is a number of seconds or null")
        }
        guard abs(seconds) < 9e12 else { throw BadRequest("\(seconds) is no time") }
        standing.store(Int64((seconds * 1e6).rounded()), ordering: .relaxed)
    }
}
