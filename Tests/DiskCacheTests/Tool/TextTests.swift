import DiskCache
import Testing

@testable import DiskCacheTool

/// How the tool writes numbers, dates and CBOR.
@Suite struct TextTests {
    @Test(arguments: [
        ("00", "0"), ("1903e8", "1000"), ("3bffffffffffffffff", "-18446744073709551616"), ("f93c00", "1.0"),
        ("f90001", "5.960464477539063e-08"), ("f97c00", "Infinity"), ("f97e00", "NaN"), ("fa47c35000", "100000.0"),
        ("fbc010666666666666", "-4.1"), ("f4", "false"), ("f6", "null"), ("f0", "simple(16)"),
        ("4401020304", "h'01020304'"),
        ("6161", "\"a\""), ("830102820304", "[1, 2, [3, 4]]"), ("a201020304", "{1: 2, 3: 4}"), ("80", "[]"),
        ("c249010000000000000000", "2(h'010000000000000000')"),
    ])
    func cborIsReadable(hex: String, text: String) throws {
        #expect(try CBORText.text(bytes(hex)) == text)
    }

    @Test(arguments: ["", "18", "0000", "61", "61ff", "9f", "9bffffffffffffffff", "a101", "1c", "5bffffffffffffffff"])
    func malformedCBORIsAnError(hex: String) {
        #expect(throws: CacheError.self) { try CBORText.text(bytes(hex)) }
    }

    @Test func deepCBORIsAnError() {
        #expect(throws: CacheError.self) { try CBORText.text([UInt8](repeating: 0x81, count: 100_000)) }
    }

    @Test func numbersAndDates() {
        #expect([0, 999, 1000, 1_234_567, -1000].map { grouped($0) } == ["0", "999", "1,000", "1,234,567", "-1,000"])
        #expect(rounded(1234.5678, 2) == "1,234.57" && rounded(0.05, 1) == "0.1" && rounded(9.999, 2) == "10.00")
        #expect(rounded(1.004, 2) == "1.00")
        #expect(date(0) == "1970-01-01T00:00:00.000Z")
        #expect(date(951_782_400.25) == "2000-02-29T00:00:00.250Z")
        #expect(date(4_107_542_399.999) == "2100-02-28T23:59:59.999Z")
        #expect(date(-1) == "1969-12-31T23:59:59.000Z")
        #expect(date(.infinity) == "inf")
    }

    @Test func argumentsAreToldApart() throws {
        let arguments = try Arguments(
            ["--flag", "a", "--option=x=y", "-5", "-", "--", "--flag"], options: ["--option"], flags: ["--flag"])
        #expect(arguments.positional == ["a", "-5", "-", "--flag"])
        #expect(arguments.has("--flag") && arguments.value("--option") == "x=y")
        #expect(throws: UsageError.self) { try Arguments(["--option"], options: ["--option"]) }
        #expect(throws: UsageError.self) { try Arguments(["--flag=1"], flags: ["--flag"]) }
        #expect(throws: UsageError.self) { try Arguments(["-x"]) }
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }
}
