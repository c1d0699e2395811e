/// A child of the demo, and the two pipes that it is led by: a byte in tells it to take its next step, words out say what came of it.
///
/// Killed when it goes, unless it was waited for.
final class DemoProcess {
    let child: Int32
    let input: Platform.Descriptor
    let output: Platform.Descriptor
    private var isGone = false

    /// Starts one. What it is to do stands in its environment, which also keeps it from starting others.
    init(_ role: DemoRole, _ folder: DemoFolder, source: [UInt8], part: Int, of parts: Int) throws {
        let down = try Platform.makePipe()
        let up = try Platform.makePipe()
        child = try Platform.spawnSelf(
            ["diskcache", "demo-child", role.rawValue, "\(part + 1)/\(parts)"],
            environment: [
                (DemoChild.roleVariable, Array(role.rawValue.utf8)), (DemoChild.folderVariable, folder.path),
                (DemoChild.sourceVariable, source), (DemoChild.partVariable, Array("\(part)/\(parts)".utf8)),
            ],
            input: down.reading, output: up.writing)
        input = down.writing
        output = up.reading
    }

    deinit {
        if !isGone {
            Platform.kill(child)
            _ = try? Platform.wait(child)
        }
    }

    /// Tells it to take its next step.
    func step() throws { try Platform.write(input, [1]) }

    /// The next words that it says; throws if it ended instead.
    func words(_ count: Int) throws -> [UInt64] {
        try Platform.waitForInput(output)
        let bytes = try [UInt8](unsafeUninitializedCapacity: count * 8) { buffer, filled in
            filled = try Platform.read(output, into: UnsafeMutableRawBufferPointer(buffer))
        }
        guard bytes.count == count * 8 else {
            isGone = true
            throw DemoFailure("a process ended before its work was done: \(try Platform.wait(child))")
        }
        return [UInt64](littleEndianBytes: bytes)
    }

    /// Waits for its end; throws unless all was well.
    func finish() throws {
        isGone = true
        let end = try Platform.wait(child)
        if end != .exited(0) { throw DemoFailure("a process failed: \(end)") }
    }

    /// SIGKILL, now.
    func kill() { Platform.kill(child) }

    /// Waits for the end of what was killed; throws if it had ended by itself.
    func buried() throws {
        isGone = true
        let end = try Platform.wait(child)
        if end != .killed(signal: Platform.killSignal) { throw DemoFailure("the writer ended by itself: \(end)") }
    }
}

/// The demo couldn't be done.
struct DemoFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What a child is for.
enum DemoRole: String {
    /// Stores its part of the files.
    case store
    /// Reads its part of the values back, and compares them with the files.
    case verify
    /// Writes and acknowledges until it is killed.
    case write
}
