import TestSupport
import Testing

@testable import DiskCacheCore

private struct Point: Codable, Equatable {
    var x: Int
    var y: Double
}

private struct Refusing: Serializer {
    struct Refusal: Error {}
    var name: String { "refusing" }
    func encode<T: Encodable>(_ value: T) throws -> [UInt8] { throw Refusal() }
    func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T { throw Refusal() }
}

@Suite struct ValueCodingTests {
    private func stored(_ value: some Encodable) throws -> (ValueForm, [UInt8]) {
        try encodeValue(value, serializer: CBORSerializer()) { ($0, Array($1)) }
    }

    private func read<V: Decodable>(_ type: V.Type, _ form: ValueForm, _ bytes: [UInt8]) throws -> V {
        try bytes.withUnsafeBytes { try decodeValue(type, form: form, bytes: $0, serializer: CBORSerializer()) }
    }

    private func read<V: Decodable>(_ type: V.Type, from value: some Encodable) throws -> V {
        let (form, bytes) = try stored(value)
        return try read(type, form, bytes)
    }

    private func code(_ body: () throws -> Void) -> CacheError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? CacheError)?.code
        }
    }

    @Test func formsArePinned() {
        #expect(ValueForm.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        for form in ValueForm.allCases {
            #expect(form.isFile == (form.inline != form))
            #expect(form.inFile?.inline ?? form.inline == form.inline)
        }
    }

    /// These bytes are in files: a change here is a change of format.
    @Test func goldenBytes() throws {
        func expect(_ value: some Encodable, _ form: ValueForm, _ text: String) throws {
            let (found, content) = try stored(value)
            #expect(found == form && hex(content) == hex(unhex(text)), "\(value)")
        }
        try expect(1, .integer, "0100000000000000")
        try expect(Int8(-1), .integer, "ffffffffffffffff")
        try expect(UInt64(Int64.max), .integer, "ffffffffffffff7f")
        try expect(UInt64.max, .unsigned, "ffffffffffffffff")
        try expect(1.0, .double, "000000000000f03f")
        try expect(Float(-0.0), .double, "0000000000000080")
        try expect("é", .text, "c3a9")
        try expect([UInt8]([1, 2]), .bytes, "0102")
        try expect(String?.none, .null, "")
        try expect(String?.some("a"), .text, "61")
        try expect(Int??.none, .null, "")
        try expect(Int??.some(nil), .encoded, "81f6")
        try expect(Int??.some(1), .encoded, "8101")
        try expect(true, .encoded, "f5")
        try expect(Point(x: 1, y: 2), .encoded, "a2 617801 6179f94000")
        try expect([1, 2], .encoded, "820102")
    }

    @Test func valuesComeBack() throws {
        func roundTrip<V: Codable & Equatable>(_ value: V) throws {
            #expect(try read(V.self, from: value) == value)
        }
        try roundTrip(Int.min)
        try roundTrip(UInt.max)
        try roundTrip(Int8(-5))
        try roundTrip(UInt8.max)
        try roundTrip(Int16.min)
        try roundTrip(UInt16.max)
        try roundTrip(Int32.min)
        try roundTrip(UInt32.max)
        try roundTrip(Int64.max)
        try roundTrip(UInt64.max)
        try roundTrip(Int128.max)
        try roundTrip(1.1)
        try roundTrip(Float(1.1))
        try roundTrip("text")
        try roundTrip("")
        try roundTrip([UInt8]())
        try roundTrip(false)
        try roundTrip(Point(x: 1, y: .infinity))
        try roundTrip(Int?.none)
        try roundTrip(Int?.some(3))
        try roundTrip(Int??.none)
        try roundTrip(Int??.some(nil))
        try roundTrip(Int??.some(3))
        try roundTrip([Int?]??.some([nil]))
        try roundTrip(Point?.some(Point(x: 1, y: 2)))
        try roundTrip(["a": [1: "b"]])
        #expect(try read(Double.self, from: Double.nan).bitPattern == Double.nan.bitPattern)
        #expect(try read(Float.self, from: Float.nan).isNaN)
        #expect(try read(Double.self, from: -0.0).sign == .minus)
    }

    @Test func numbersAreReadAsWhatHoldsThem() throws {
        #expect(try read(UInt8.self, from: 200) == 200)
        #expect(try read(Int64.self, from: UInt64(7)) == 7)
        #expect(try read(UInt.self, from: UInt64.max) == .max)
        #expect(try read(Double.self, from: 1 << 53) == 0x1p53)
        #expect(try read(Float.self, from: UInt64(1) << 63) == 0x1p63)
        #expect(try read(Float.self, from: 1.5) == 1.5)
        #expect(try read(Int?.self, from: 5) == 5)
        #expect(try read(Int??.self, from: 5) == 5)
        #expect(code { _ = try read(Int8.self, from: 200) } == .typeMismatch)
        #expect(code { _ = try read(UInt.self, from: -1) } == .typeMismatch)
        #expect(code { _ = try read(Int.self, from: UInt64.max) } == .typeMismatch)
        #expect(code { _ = try read(Double.self, from: (1 << 53) + 1) } == .typeMismatch)
        #expect(code { _ = try read(Float.self, from: 1.1) } == .typeMismatch)
        #expect(code { _ = try read(Int.self, from: 1.0) } == .typeMismatch)
        #expect(code { _ = try read(Bool.self, from: 1) } == .typeMismatch)
        #expect(code { _ = try read(Int.self, from: true) } == .typeMismatch)
    }

    @Test func otherTypesAreMismatches() throws {
        #expect(code { _ = try read(String.self, from: [UInt8]([65])) } == .typeMismatch)
        #expect(code { _ = try read([UInt8].self, from: "A") } == .typeMismatch)
        #expect(code { _ = try read(String.self, from: 1) } == .typeMismatch)
        #expect(code { _ = try read(String.self, from: String?.none) } == .typeMismatch)
        #expect(code { _ = try read(Int.self, from: String?.none) } == .typeMismatch)
        #expect(code { _ = try read(Point.self, from: String?.none) } == .typeMismatch)
        #expect(code { _ = try read(Point.self, from: "x") } == .typeMismatch)
        #expect(code { _ = try read(Point.self, from: [1]) } == .typeMismatch)
        #expect(code { _ = try read(Int?.self, from: "x") } == .typeMismatch)
        #expect(try read(String?.self, from: Int?.none) == nil)
    }

    @Test func hostileBytesAreRefused() throws {
        #expect(code { _ = try read(Int.self, .integer, [1, 2]) } == .corrupted)
        #expect(code { _ = try read(Double.self, .double, []) } == .corrupted)
        #expect(code { _ = try read(UInt16.self, .unsigned, Array(repeating: 1, count: 9)) } == .corrupted)
        #expect(code { _ = try read(String.self, .text, [0xff]) } == .corrupted)
        #expect(code { _ = try read(Point.self, .encoded, [0xff]) } == .undecodable)
        #expect(code { _ = try read(Point.self, .encoded, []) } == .undecodable)
        #expect(try read(String.self, .textFile, [65]) == "A")
        #expect(try read([UInt8].self, .bytesFile, [65]) == [65])
        #expect(try read([Int].self, .encodedFile, [0x81, 1]) == [1])
    }

    @Test func aSerializersErrorsAreWrapped() throws {
        #expect(code { try encodeValue([1], serializer: Refusing()) { _, _ in } } == .unencodable)
        #expect(
            code {
                _ = try [UInt8]([1]).withUnsafeBytes {
                    try decodeValue([Int].self, form: .encoded, bytes: $0, serializer: Refusing())
                }
            } == .undecodable)
        // What has a form of its own never gets there.
        try encodeValue(1, serializer: Refusing()) { form, _ in #expect(form == .integer) }
    }
}
