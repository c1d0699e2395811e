import DiskCache
import DiskCacheEngine
import TestSupport

/// Processes that write to a cache and that follow what is written.
enum ChangeCommands {
    /// `change`: stores `writer.0`, `writer.1` … and says after each that it is done. Every fifth with the next one in a transaction
    /// whose other half is taken back, every eleventh in a file.
    static func change(_ arguments: Arguments) throws {
        if let point = FaultPoint(rawValue: arguments.text("point")) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return }
        }
        struct TakenBack: Error {}
        let cache = try Cache(directory: arguments.text("directory"))
        let writer = arguments.text("writer")
        var number = 0
        while number < arguments.number("count") {
            let key = "\(writer).\(number)"
            number += 1
            if number % 5 == 0 {
                let second = "\(writer).\(number)"
                try cache.transact {
                    try cache.set(key, number)
                    try? cache.transact {
                        try cache.set("\(writer).taken back", number)
                        throw TakenBack()
                    }
                    try cache.set(second, number)
                }
                number += 1
                TestChild.say(key)
                TestChild.say(second)
            } else {
                let text = number % 11 == 0 ? String(repeating: "x", count: 40_000) : key
                try cache.set(key, text)
                TestChild.say(key)
            }
        }
        try cache.close()
    }

    /// `follow`: says position, kind and key of each change, from a position on; ends at the key `end`.
    static func follow(_ arguments: Arguments) throws {
        let cache = try Cache(directory: arguments.text("directory"))
        let reader = try cache.readChanges(from: arguments["from"].flatMap { Change.Position($0) })
        if arguments["from"] == nil { TestChild.say("at \(reader.position)") }
        while let change = try reader.next(timeout: .seconds(60)) {
            let key = try change.key?.decode(String.self) ?? "-"
            TestChild.say("\(change.position) \(change.kind.rawValue) \(key)")
            if key == "end" { return }
        }
        TestChild.say("nothing came")
    }
}
