internal import DiskCacheEngine

/// A path with `~` at its beginning and `$NAME` or `${NAME}` anywhere replaced by what the environment says; names that it
/// doesn't know stay as they stand.
package func expandPath(_ path: String) -> String {
    var bytes = Array(path.utf8)
    if bytes.first == UInt8(ascii: "~"), bytes.count == 1 || bytes[1] == UInt8(ascii: "/"),
        let home = environmentVariable("HOME")
    {
        bytes.replaceSubrange(0..<1, with: Array(home.utf8))
    }
    var result: [UInt8] = []
    var at = 0
    while at < bytes.count {
        if bytes[at] == UInt8(ascii: "$"), let (name, end) = variableName(bytes, at + 1),
            let value = environmentVariable(name)
        {
            result += Array(value.utf8)
            at = end
        } else {
            result.append(bytes[at])
            at += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// The name that begins at `start`, in braces or not, and the place behind it.
private func variableName(_ bytes: [UInt8], _ start: Int) -> (String, Int)? {
    var at = start
    let braced = at < bytes.count && bytes[at] == UInt8(ascii: "{")
    if braced { at += 1 }
    let first = at
    while at < bytes.count, isNameByte(bytes[at]) { at += 1 }
    guard at > first else { return nil }
    let name = String(decoding: bytes[first..<at], as: UTF8.self)
    if braced {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "}") else { return nil }
        at += 1
    }
    return (name, at)
}

private func isNameByte(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
}
