/// What a lock between processes is called, and what its files in `locks/` are called for that.
///
/// ```
/// lock.NAME             flocked by the holder              semaphore.NAME.0 …    one for each slot
/// lock.NAME.gate        flocked by who is next             semaphore.NAME.gate   as beside
/// flight.NAME           one computation of a value         semaphore.NAME.bound  how many slots there are, in decimal
/// ```
///
/// In NAME small letters, digits, `-` and `_` stand for themselves and every other byte of the UTF-8 is `%` with two hexadecimal
/// digits: no dot, no slash, and no two names that a file system which ignores case confuses. A name that would take more than 160
/// bytes is its first 120, `~`, and two XXH64 (seeds 1 and 2) of the whole name in 32 hexadecimal digits.
package struct LockName: Hashable, Sendable {
    /// What the lock is for; each kind has names of its own.
    package enum Kind: String, Sendable {
        case lock, semaphore
        /// Its file is unlinked by who lets go of it: names of this kind come and go.
        case flight
    }

    let kind: Kind
    /// The file's name, without what follows the second dot.
    let base: String

    package init(_ kind: Kind, _ name: some Sequence<UInt8>) {
        self.kind = kind
        let name = Array(name)
        var text = Self.escaped(name)
        if text.utf8.count > 160 {
            let sums = name.withUnsafeBytes { (XXH64.hash($0, seed: 1), XXH64.hash($0, seed: 2)) }
            text = String(text.prefix(120)) + "~" + Self.hexadecimal(sums.0) + Self.hexadecimal(sums.1)
        }
        base = kind.rawValue + "." + text
    }

    /// The file of a slot.
    func slot(_ number: Int) -> String { kind == .semaphore ? base + ".\(number)" : base }
    /// The file that whoever is next in line holds.
    var gate: String { base + ".gate" }
    /// The file that says how many slots there are.
    var bound: String { base + ".bound" }

    private static func escaped(_ name: [UInt8]) -> String {
        var text = ""
        for byte in name {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += byte < 16 ? "%0" + String(byte, radix: 16) : "%" + String(byte, radix: 16)
            }
        }
        return text
    }

    private static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
