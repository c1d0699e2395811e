import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// The cache and the engine each have names of their own for what stands in files: they mean the same.
@Suite struct CodeTests {
    @Test(arguments: ValueForm.allCases) func formsOfValues(_ form: ValueForm) {
        let code =
            switch form {
            case .null: ValueFormCode.null
            case .integer: ValueFormCode.integer
            case .double: ValueFormCode.double
            case .text: ValueFormCode.text
            case .bytes: ValueFormCode.bytes
            case .encoded: ValueFormCode.encoded
            case .textFile: ValueFormCode.textFile
            case .bytesFile: ValueFormCode.bytesFile
            case .encodedFile: ValueFormCode.encodedFile
            case .unsigned: ValueFormCode.unsigned
            }
        #expect(UInt16(form.rawValue) == code)
        #expect(form.isFile == ValueFormCode.isFile(code))
    }

    @Test(arguments: DiskCacheCore.KeyClass.allCases) func classesOfKeys(_ keyClass: DiskCacheCore.KeyClass) {
        typealias Code = DiskCacheEngine.KeyClass
        let code =
            switch keyClass {
            case .null: Code.null
            case .integer: Code.integer
            case .float: Code.float
            case .text: Code.text
            case .bytes: Code.bytes
            case .encoded: Code.encoded
            case .queue: Code.queue
            case .system: Code.system
            }
        #expect(keyClass.rawValue == code)
        #expect(keyClass.identity == Code.identity(code))
    }
}
