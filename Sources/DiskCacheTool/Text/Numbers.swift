/// A number with its digits in groups of three: 1,234,567.
func grouped(_ number: some BinaryInteger) -> String {
    let digits = String(number.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
        text.append(digit)
    }
    return number < 0 ? "-" + text : text
}

/// A number that isn't negative with some digits behind the point; fewer where it is large.
func rounded(_ number: Double, _ digits: Int) -> String {
    guard number.isFinite, number < 1e15 else { return "-" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let units = Int((number * scale).rounded())
    guard digits > 0 else { return grouped(units) }
    let fraction = String(units % Int(scale))
    return grouped(units / Int(scale)) + "." + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// A text with blanks behind it, up to `width`.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// A time in seconds since 1970 as a date in UTC: 2026-01-31T12:00:00.250Z.
func date(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e12 else { return "\(seconds)" }
    let milliseconds = Int((seconds * 1000).rounded(.down))
    let (days, rest) = milliseconds.quotientAndRemainderFlooring(dividingBy: 86_400_000)
    // Days since 1 March of the year 0, in cycles of 400 years: leap days come last in such a year.
    let (cycle, day) = (days + 719_468).quotientAndRemainderFlooring(dividingBy: 146_097)
    let yearOfCycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
    func two(_ number: Int, _ width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return two(year, 4) + "-" + two(month) + "-" + two(dayOfMonth) + "T" + two(rest / 3_600_000) + ":"
        + two(rest / 60_000 % 60) + ":" + two(rest / 1000 % 60) + "." + two(rest % 1000, 3) + "Z"
}

extension Int {
    /// Quotient and remainder of a division that rounds down.
    fileprivate func quotientAndRemainderFlooring(dividingBy divisor: Int) -> (Int, Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

/// Bytes as text for people: what isn't UTF-8 is replaced, what isn't printable is escaped.
func displayed(_ bytes: [UInt8]) -> String {
    var text = ""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
        if scalar.value < 32 || scalar.value == 127 {
            text += "\\x" + hexadecimal([UInt8(scalar.value)])
        } else {
            text.unicodeScalars.append(scalar)
        }
    }
    return text
}

/// Bytes as hexadecimal digits.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
        let digits = String(byte, radix: 16)
        text += digits.count == 1 ? "0" + digits : digits
    }
    return text
}

/// A text as JSON writes it, in quotation marks.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 32: result += "\\u00" + hexadecimal([UInt8(scalar.value)])
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
