import TestSupport
import Testing

@testable import DiskCacheTool

/// The tool's own JSON: what is read, what is refused, what is written.
@Suite struct JSONTests {
    private func read(_ text: String) throws -> JSON { try JSON(text) }

    @Test func whatIsReadIsWhatStands() throws {
        #expect(
            try read(" {\t\"a\" : [ 1 , -0 , 1.0 , 1e2, 0.5E-1, true, false, null ] \r\n} ")
                == .object([
                    "a": .array([
                        .integer(1), .integer(0), .float(1), .float(100), .float(0.05), .bool(true), .bool(false),
                        .null,
                    ])
                ]))
        #expect(try read("9223372036854775807") == .integer(.max))
        #expect(try read("-9223372036854775808") == .integer(.min))
        #expect(try read("1e-400") == .float(0))
        #expect(try read("1.7976931348623157e308") == .float(.greatestFiniteMagnitude))
        #expect(try read(#""\u0041\u00e9\ud83d\ude00\/\"\\\b\f\n\r\t""#) == .text("Aé😀/\"\\\u{8}\u{c}\n\r\t"))
        #expect(try read("[]") == .array([]) && read("{}") == .object([]))
        #expect(try read("{\"e\u{301}\": 1, \"é\": 2}") == .object(["e\u{301}": .integer(1), "é": .integer(2)]))
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "nul",
        "True",
        "tru", "01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "'a'", "\"a", "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"", "\"\t\"", "\"\u{0}\"", "1 2", "{} {}", "[1]]", "// a", "\u{feff}1", "\u{a0}1",
        "\"\\ud800\\u12\"",
    ]) func malformedTextIsRefused(_ text: String) {
        #expect(throws: BadRequest.self) { try read(text) }
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "1e400", "-1e309", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800x\"", "{\"a\": 1, \"a\": 1}", "{\"a\": 1, \"\\u0061\": 2}",
        String(repeating: "[", count: 513) + String(repeating: "]", count: 513),
        String(repeating: "{\"a\":", count: 600) + "\"]}\"" + String(repeating: "}", count: 600),
    ]) func whatCannotBeHadIsRefusedAndTheRestIsRead(_ text: String) throws {
        #expect(throws: BadRequest.self) { try read(text) }
        var reader = JSONReader(Array("{\"x\": \(text), \"id\": [7]}".utf8)[...])
        #expect(try reader.whole()["id"] == .array([.integer(7)]))
        #expect(reader.flaw != nil && reader.flawedMembers == ["x"])
    }

    @Test func bytesThatAreNoTextAreRefused() {
        for bytes: [UInt8] in [[0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0xff]] {
            #expect(throws: BadRequest.self) { try JSONReader.read(bytes[...]) }
        }
    }

    @Test func nestingIsReadUpToItsLimit() throws {
        let text = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)
        #expect(try read(text).line == text)
    }

    @Test func everyBitPatternComesBack() throws {
        var random = ReplayableRandom(for: "JSON", variable: "CODING_SEED")
        for _ in 0..<2000 {
            let float = Double(bitPattern: random.next())
            let integer = Int64(bitPattern: random.next())
            #expect(try read(JSON.integer(integer).line) == .integer(integer), "seed \(random.seed)")
            guard float.isFinite else { continue }
            guard case .float(let back) = try read(JSON.float(float).line) else {
                Issue.record("\(float) isn't written as a float; seed \(random.seed)")
                continue
            }
            #expect(back.bitPattern == float.bitPattern, "seed \(random.seed)")
        }
    }

    @Test func everyTextComesBackOnOneLine() throws {
        let text = String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init))) + "\u{2028}😀e\u{301}"
        let line = JSON.text(text).line
        #expect(!line.contains("\n") && !line.contains("\r"))
        guard case .text(let back) = try read(line) else { throw BadRequest("no text") }
        #expect(back.utf8.elementsEqual(text.utf8))
    }

    @Test func base64IsThatOfTheRFC() {
        let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE="]
        for (plain, text) in vectors {
            #expect(Base64.encode(Array(plain.utf8)) == text)
            #expect(Base64.decode(text) == Array(plain.utf8))
        }
        let all = (0...255).map { UInt8($0) }
        #expect(Base64.decode(Base64.encode(all)) == all)
        for text in ["Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm-_"] {
            #expect(Base64.decode(text) == nil, "\(text)")
        }
    }

    @Test func foreignCBORHasSomeJSON() throws {
        let bytes: [UInt8] =
            [0x85, 0x41, 0xff, 0xf9, 0x7e, 0x00, 0x1b] + [UInt8](repeating: 0xff, count: 8) + [0xa1, 1, 2, 0xf6]
        #expect(
            try JSON(cbor: bytes).line
                == #"[{"$bytes": "/w=="}, {"$float": "nan"}, 18446744073709551615, [[1, 2]], null]"#)
        for bytes: [UInt8] in [
            [], [0x81], [0x9f, 0xff], [0x62, 0xff, 0xff], [0x00, 0x00], [0xf8, 0x40], [0x9b, 0xff],
        ] {
            #expect(throws: (any Error).self) { try JSON(cbor: bytes) }
        }
    }
}
