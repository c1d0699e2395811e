import DiskCacheEngine
import TestSupport

/// `fill`: writes the same keys again and again, so fast that segments are made ahead, until it is released or killed; may die at a point.
/// Says how many writes are done, now and then.
enum FillCommand {
    static let keys = 4000

    /// Every eight bytes tell the number of the write.
    static func value(_ number: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 1000) { bytes, count in
            for at in stride(from: 0, to: 1000, by: 8) {
                UnsafeMutableRawBufferPointer(bytes).storeBytes(of: number, toByteOffset: at, as: Int.self)
            }
            count = 1000
        }
    }

    static func run(_ arguments: Arguments) throws {
        if let name = arguments["point"], let point = FaultPoint(rawValue: name) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return }
        }
        let client = try StoreClient(asItIs: arguments.text("directory"))
        var number = arguments.number("from")
        TestChild.say("\(number)")
        while !TestChild.isReleased() {
            for _ in 0..<200 {
                try client.set("\(number % keys)", value(number))
                number += 1
            }
            TestChild.say("\(number)")
        }
        client.handle.close()
    }
}
