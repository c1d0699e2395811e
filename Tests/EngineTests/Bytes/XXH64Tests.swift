import Testing

@testable import DiskCacheEngine

/// The vectors of xxHash's own test program, and the pieces against the whole.
@Suite struct XXH64Tests {
    @Test(
        arguments: [
            ("", 0, 0xef46_db37_51d8_e999), ("abc", 0, 0x44bc_2cf5_ad77_0999), ("123456789", 0, 0x8cb8_41db_40e6_ae83),
            ("abc", 1, 0xbea9_ca81_9932_8908),
        ] as [(String, UInt64, UInt64)])
    func vector(text: String, seed: UInt64, expected: UInt64) {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBytes { XXH64.hash($0, seed: seed) } == expected)
    }

    @Test func piecesEqualTheWhole() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for length in [0, 1, 7, 31, 32, 33, 64, 100, 999] {
            for step in [1, 3, 32, 50] {
                var stream = XXH64(seed: 7)
                var at = 0
                while at < length {
                    let end = min(at + step, length)
                    bytes[at..<end].withUnsafeBytes { stream.update($0) }
                    at = end
                }
                let whole = bytes[0..<length].withUnsafeBytes { XXH64.hash($0, seed: 7) }
                #expect(stream.value() == whole)
            }
        }
    }
}
