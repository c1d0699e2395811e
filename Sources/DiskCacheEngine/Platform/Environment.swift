/// What a store takes from the world around it: files, clocks, identity, randomness. Tests put their own in its place.
package struct Environment: Sendable {
    package var files: any FileSystem
    /// Microseconds since 1970; nil: the system's clock, called directly.
    package var wallClockOverride: (@Sendable () -> Int64)?
    /// Tells one run of the kernel from the next; empty equals nothing, not even itself.
    package var bootIdentity: @Sendable () -> String
    package var processID: @Sendable () -> UInt32
    package var random: @Sendable () -> UInt64

    package init(files: any FileSystem = SystemFiles()) {
        self.files = files
        wallClockOverride = nil
        bootIdentity = { SystemCalls.bootIdentity() }
        processID = { SystemCalls.processID() }
        random = { SystemCalls.random() }
    }

    /// The real thing.
    package static let system = Environment()

    /// Microseconds since 1970.
    @inline(__always) package func wallClock() -> Int64 {
        if let wallClockOverride { return wallClockOverride() }
        return SystemCalls.wallClock()
    }
}

/// The value of an environment variable of this process; nil: it isn't set.
public func environmentVariable(_ name: String) -> String? { SystemCalls.environment(name) }

/// The next bytes of an open file, pipe or socket of the caller's, `count` of them at most, as read(2) gives them; empty: its end.
public func readDescriptor(_ descriptor: Int32, atMost count: Int) throws(EngineError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        do throws(SystemError) {
            filled = try SystemCalls.readNext(
                descriptor, into: UnsafeMutableRawBufferPointer(buffer), "descriptor \(descriptor)")
        } catch {
            failure = error
        }
    }
    if let failure { throw EngineError(failure) }
    return bytes
}

/// nanosleep(2) of the calling thread.
package func sleepThread(nanoseconds: UInt64) { SystemCalls.sleep(nanoseconds: nanoseconds) }
