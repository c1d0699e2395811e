import TestSupport

extension ReplayableRandom {
    /// Those of a test of trees. Set `BTREE_SEED` to replay a run.
    init(tree test: String) { self.init(for: test, variable: "BTREE_SEED") }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// Keys of 0 to 10,000 bytes, most of them short, many with much in common.
    mutating func key() -> [UInt8] {
        let shared = [[UInt8](), Array("user:".utf8), Array("https://example.org/a/b/".utf8), [0xFF, 0xFF, 0]][below(4)]
        switch below(100) {
        case 0..<60: return shared + bytes(below(12))
        case 60..<70: return shared + [UInt8](repeating: UInt8(below(3)), count: below(40))
        case 70..<85: return shared + [UInt8](repeating: 0x61, count: 100 + below(200)) + bytes(below(4))
        case 85..<93: return [UInt8](repeating: 0, count: 200 + below(120)) + bytes(below(700))
        case 93..<97: return [UInt8](repeating: 7, count: 950 + below(20)) + bytes(below(3))
        default: return [UInt8](repeating: 9, count: 250 + below(6000)) + bytes(below(4000))
        }
    }
}
