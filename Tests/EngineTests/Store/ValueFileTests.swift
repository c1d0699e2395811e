import Synchronization
import Testing

@testable import DiskCacheEngine

@Suite struct ValueFileTests {
    private let scratch: ScratchDirectory
    private let directory: FileDescriptor
    private let files: ValueFiles

    init() throws {
        scratch = try ScratchDirectory()
        directory = try scratch.open()
        files = ValueFiles(directory: directory, environment: .system)
    }

    private static let three: [UInt8] = [1, 2, 3]

    private static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    }

    @discardableResult
    private func store(
        _ bytes: [UInt8], pieces: Int = 1000, expected: Int = 0, in files: ValueFiles? = nil
    ) throws -> ValueFileReference {
        let writer = try (files ?? self.files).beginWriting(expected: expected)
        var at = 0
        while at < bytes.count {
            let end = min(at + pieces, bytes.count)
            try bytes[at..<end].withUnsafeBytes { try writer.append($0) }
            at = end
        }
        let reference = try writer.finish()
        try writer.place()
        return reference
    }

    private func load(
        _ reference: ValueFileReference, pieces: Int = 777, in files: ValueFiles? = nil
    ) throws -> [UInt8]? {
        guard let reader = try (files ?? self.files).open(reference) else { return nil }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: pieces)
        while true {
            let count = try piece.withUnsafeMutableBytes { try reader.read(into: $0) }
            if count == 0 { return all }
            all += piece[..<count]
        }
    }

    /// The error that `body` throws.
    private func damage(_ body: () throws -> Void) -> ValueFileError.Damage? {
        do {
            try body()
        } catch {
            if case .corrupted(_, let damage)? = error as? ValueFileError { return damage }
        }
        return nil
    }

    // MARK: Names and references

    @Test func namesAreTheirBytesInHex() throws {
        let bytes = (0..<32).map { $0 < 16 ? UInt8($0 * 8 + 1) : 0 }
        let reference = try #require(bytes.withUnsafeBytes { ValueFileReference($0) })
        #expect(reference.name.hex == "01091119212931394149515961697179")
        #expect(reference.name.path == "files/01/09/1119212931394149515961697179.val")
        #expect(reference.name.temporaryPath == "files/tmp/01091119212931394149515961697179")
        #expect(ValueFileName(hex: reference.name.hex) == reference.name)
    }

    @Test(arguments: [
        "", "0", "0109111921293139414951596169717", "010911192129313941495159616971790", "../../../../../../etc/passwd",
        "0109111921293139414951596169717G", "0109111921293139414951596169717A", "0109111921293139414951596169717\u{0}",
        "٠١٠٩١١١٩٢١٢٩٣١٣٩٤١٤٩٥١٥٩٦١٦٩٧١٧٩",
    ])
    func noNameInAnythingElse(hex: String) { #expect(ValueFileName(hex: hex) == nil) }

    @Test func referencesKeepTheirBytes() throws {
        var bytes: [UInt8] = (0..<16).map { UInt8($0) }
        bytes += [0x34, 0x12, 0, 0, 0, 0, 0, 0] + [1, 2, 3, 4, 5, 6, 7, 8]
        let reference = try #require(bytes.withUnsafeBytes { ValueFileReference($0) })
        #expect(reference.length == 0x1234)
        #expect(reference.checksum == 0x0807_0605_0403_0201)
        var again = [UInt8](repeating: 0xFF, count: 32)
        again.withUnsafeMutableBytes { reference.store(into: $0) }
        #expect(again == bytes)
        bytes[23] = 0x80
        #expect(bytes.withUnsafeBytes { ValueFileReference($0) } == nil)
        #expect(bytes.dropLast().withUnsafeBytes { ValueFileReference($0) } == nil)
        #expect([UInt8]().withUnsafeBytes { ValueFileReference($0) } == nil)
    }

    // MARK: Writing and reading

    @Test(arguments: [0, 1, 999, 1000, 65536, 100_000, 700_000])
    func whatIsWrittenIsRead(count: Int) throws {
        let bytes = Self.bytes(count)
        for expected in [0, count, count * 2 + 10] {
            let reference = try store(bytes, pieces: 30001, expected: expected)
            #expect(reference.length == count)
            #expect(reference.checksum == bytes.withUnsafeBytes { XXH64.hash($0, seed: 0) })
            #expect(try load(reference) == bytes)
            #expect(try load(reference, pieces: 1 << 20) == bytes)
            let reader = try #require(try files.open(reference))
            #expect(reader.count == count)
            #expect(reader.path == scratch.path + "/" + reference.name.path)
            let mapping = try reader.map()
            #expect(mapping.withBytes { Array($0) } == bytes)
            #expect(reader.offset == 0)
            #expect(try scratch.files.status(of: reference.name.path, in: directory)?.size == count)
        }
    }

    @Test func modesKeepOthersOut() throws {
        let reference = try store([1, 2, 3])
        let status = { try scratch.files.status(of: $0, in: directory) }
        #expect(try status(reference.name.path)?.mode == 0o600)
        let parents = reference.name.parents
        for path in ["files", "files/tmp", parents.outer, parents.inner] { #expect(try status(path)?.mode == 0o700) }
    }

    @Test func nothingIsReadOfWhatIsNotInPlace() throws {
        let writer = try files.beginWriting()
        try Self.three.withUnsafeBytes { try writer.append($0) }
        let reference = try writer.finish()
        #expect(try files.open(reference) == nil)
        #expect(try files.list().isEmpty)
        try writer.sync()
        try writer.place()
        #expect(try files.open(reference) != nil)
        #expect(try files.list() == [reference.name])
    }

    @Test func unplacedFilesGoWithTheirWriter() throws {
        var writer: ValueFileWriter? = try files.beginWriting()
        try Self.three.withUnsafeBytes { try writer!.append($0) }
        #expect(try scratch.tree().count == 3)
        writer = nil
        #expect(try scratch.tree() == ["files/", "files/tmp/"])
        let other = try files.beginWriting()
        _ = try other.finish()
        other.abandon()
        other.abandon()
        #expect(try scratch.tree() == ["files/", "files/tmp/"])
    }

    @Test func damageIsFound() throws {
        let bytes = Self.bytes(5000)
        let change: (Int, UInt8) throws -> ValueFileReference = { offset, mask in
            let reference = try store(bytes)
            let file = try scratch.files.open(reference.name.path, in: directory, [.write])
            try [bytes[offset] ^ mask].withUnsafeBytes { try scratch.files.write(file, $0, at: offset) }
            return reference
        }
        for offset in [0, 2500, 4999] {
            let reference = try change(offset, 0x10)
            #expect(damage { _ = try load(reference) } == .checksum)
            #expect(damage { _ = try files.open(reference)?.map() } == .checksum)
        }
        for size in [0, 4999, 5001] {
            let reference = try store(bytes)
            let file = try scratch.files.open(reference.name.path, in: directory, [.write])
            let reader = try #require(try files.open(reference))
            try scratch.files.truncate(file, to: size)
            #expect(damage { _ = try files.open(reference) } == .length)
            var buffer = bytes + [0]
            if size < 5000 {
                #expect(damage { _ = try buffer.withUnsafeMutableBytes { try reader.read(into: $0) } } == .length)
            }
        }
    }

    @Test func onlyFilesAreOpened() throws {
        let reference = try store([1, 2, 3])
        try files.unlink(reference.name)
        #expect(try files.open(reference) == nil)
        let parents = reference.name.parents
        for path in [parents.outer, parents.inner, reference.name.path] {
            try scratch.files.makeDirectory(path, in: directory, mode: 0o700)
        }
        #expect(damage { _ = try files.open(reference) } == .notAFile)
        #expect(try files.list().isEmpty)
    }

    @Test func pipesAndLinksAreNotOpened() throws {
        let reference = try store([1, 2, 3])
        let path = reference.name.path
        try scratch.files.rename(path, to: "elsewhere", in: directory)
        scratch.makeLink(path, to: scratch.path + "/elsewhere")
        #expect(damage { _ = try files.open(reference) } == .notAFile)
        #expect(try files.list().isEmpty)
        try files.unlink(reference.name)
        #expect(try scratch.files.status(of: "elsewhere", in: directory) != nil)

        let other = try store([1, 2, 3])
        try scratch.files.unlink(other.name.path, in: directory, isDirectory: false)
        scratch.makePipe(other.name.path)
        #expect(damage { _ = try files.open(other) } == .notAFile)
        let temporary = ValueFileName(random: SystemCalls.random)
        scratch.makePipe(temporary.temporaryPath)
        #expect(try files.sweepTemporary() == 0)
        #expect(try files.list().isEmpty)
    }

    /// Places of files that are links to somewhere else don't lead a writer there.
    @Test func plantedLinksAreNotFollowed() throws {
        var environment = Environment.system
        environment.random = { 0x0706_0504_0302_0100 }
        let fixed = ValueFiles(directory: directory, environment: environment)
        let writer = try fixed.beginWriting()
        try Self.three.withUnsafeBytes { try writer.append($0) }
        let reference = try writer.finish()
        let victim = try store(Self.bytes(10))
        // The victim's name is a random one, and may begin with the same byte.
        for path in ["files/00", "files/00/01"] where try scratch.files.status(of: path, in: directory) == nil {
            try scratch.files.makeDirectory(path, in: directory, mode: 0o700)
        }
        scratch.makeLink(reference.name.path, to: scratch.path + "/" + victim.name.path)
        try writer.place()
        #expect(try load(reference) == [1, 2, 3])
        #expect(try load(victim) == Self.bytes(10))
        scratch.makeLink(reference.name.temporaryPath, to: scratch.path + "/" + victim.name.path)
        #expect(throws: SystemError.self) { _ = try fixed.beginWriting() }
        #expect(try load(victim) == Self.bytes(10))
    }

    // MARK: Names in the directory

    @Test func unlinkRemovesWhatBecomesEmpty() throws {
        let first = try store([1])
        let second = try store([2])
        try files.unlink(first.name)
        #expect(try Set(files.list()) == [second.name])
        try files.unlink(second.name)
        try files.unlink(second.name)
        #expect(try scratch.tree() == ["files/", "files/tmp/"])
    }

    @Test func aLinkOutlivesTheFirstName() throws {
        let reference = try store(Self.bytes(100))
        var moved = reference
        moved.name = ValueFileName(random: SystemCalls.random)
        try files.link(reference.name, to: moved.name)
        try files.unlink(reference.name)
        #expect(try load(moved) == Self.bytes(100))
        let another = ValueFileName(random: SystemCalls.random)
        #expect(throws: SystemError.self) { try files.link(reference.name, to: another) }
        try files.unlink(moved.name)
        #expect(try scratch.tree() == ["files/", "files/tmp/"])
    }

    @Test func syncPassesOverWhatIsGone() throws {
        let first = try store([1])
        let second = try store([2])
        try files.unlink(first.name)
        try files.sync([first.name, second.name])
        try files.sync([])
        try files.unlink(second.name)
        try files.sync([second.name])
    }

    @Test func listPassesOverStrangers() throws {
        #expect(try files.list().isEmpty)
        let reference = try store([1])
        let inner = reference.name.parents.inner
        let strangers = [
            "files/x", "files/zz/", "files/AB/", "files/..x/", "files/ab", "files/é/", inner + "/x.val",
            inner + "/" + String(repeating: "0", count: 27) + "g.val",
            inner + "/" + String(repeating: "a", count: 28),
            inner + "/" + String(repeating: "a", count: 29) + ".val",
            inner + "/" + String(repeating: "b", count: 28) + ".val/",
            "files/tmp/x", "files/tmp/" + String(repeating: "c", count: 32) + "/",
        ]
        for path in strangers {
            if path.hasSuffix("/") {
                try scratch.files.makeDirectory(path, in: directory, mode: 0o700)
            } else if try scratch.files.status(of: path, in: directory) == nil {
                _ = try scratch.files.open(path, in: directory, [.write, .create])
            }
        }
        #expect(try files.list() == [reference.name])
        #expect(try files.sweepTemporary() == 0)
        for path in strangers where !path.hasSuffix("/") {
            #expect(try scratch.files.status(of: path, in: directory) != nil)
        }
    }

    @Test func aPlantedFileInTheDirectorysPlaceIsAnError() throws {
        _ = try scratch.files.open("files", in: directory, [.write, .create])
        do {
            _ = try files.beginWriting()
            Issue.record("there is no directory to write in")
        } catch {
            #expect(error.errno == ErrorNumber.notDirectory)
        }
    }

    @Test func onlyWhatNobodyWritesIsSwept() throws {
        let writer = try files.beginWriting()
        try Self.three.withUnsafeBytes { try writer.append($0) }
        let lost = ValueFileName(random: SystemCalls.random)
        _ = try scratch.files.open(lost.temporaryPath, in: directory, [.write, .create])
        let other = ValueFiles(directory: try scratch.open(), environment: .system)
        #expect(try other.sweepTemporary() == 1)
        #expect(try scratch.tree() == ["files/", "files/tmp/", writer.name.temporaryPath])
        let reference = try writer.finish()
        try writer.place()
        #expect(try other.sweepTemporary() == 0)
        #expect(try load(reference) == [1, 2, 3])
    }

    @Test func aChildNeitherKeepsNorRemovesAParentsFile() async {
        await #expect(processExitsWith: .success) {
            let test = try ValueFileTests()
            let writer = try test.files.beginWriting()
            try Self.three.withUnsafeBytes { try writer.append($0) }
            let child = try TestFork {
                writer.abandon()
                return 1
            }
            defer { child.finish() }
            #expect(child.told() == 1)
            #expect(try test.scratch.tree().contains(writer.name.temporaryPath))
            let reference = try writer.finish()
            try writer.place()
            #expect(try test.load(reference) == [1, 2, 3])
        }
    }

    // MARK: Races and faults

    @Test func writersAndPrunersAgree() throws {
        // Few names, so that directories come and go under the writers' hands.
        var environment = Environment.system
        environment.random = { SystemCalls.random() & ~0xFFFE }
        let crowded = ValueFiles(directory: directory, environment: environment)
        TestThreads.run(4) { _ in
            do {
                for _ in 0..<100 {
                    let writer = try crowded.beginWriting()
                    try Self.three.withUnsafeBytes { try writer.append($0) }
                    let reference = try writer.finish()
                    try writer.place()
                    let reader = try crowded.open(reference)
                    #expect(reader != nil)
                    try crowded.sweepTemporary()
                    try crowded.unlink(reference.name)
                }
            } catch {
                Issue.record(error)
            }
        }
        #expect(try scratch.tree() == ["files/", "files/tmp/"])
    }

    @Test func aSweeperBetweenCreationAndLockTakesOnlyThatName() throws {
        let failing = FailingFiles()
        let slow = ValueFiles(directory: directory, environment: Environment(files: failing))
        let sweeper = files
        let sweeps = ParkingWord(0)
        failing.intervene { call in
            if call == "lock" && sweeps.load() < 3 {
                sweeps.add(1)
                _ = try? sweeper.sweepTemporary()
            }
        }
        let reference = try store([4, 5, 6], in: slow)
        #expect(failing.calls.filter { $0 == "lock" }.count == 4)
        #expect(try load(reference) == [4, 5, 6])
        #expect(try scratch.tree().filter { !$0.hasSuffix("/") } == [reference.name.path])
    }

    @Test(arguments: [ErrorNumber.noSpace, ErrorNumber.inputOutput, ErrorNumber.tooManyOpenFiles])
    func everyCallMayFail(errno: Int32) throws {
        let bytes = Self.bytes(200_000)
        let failing = FailingFiles()
        let faulty = ValueFiles(directory: directory, environment: Environment(files: failing))
        let scenario = {
            let reference = try store(bytes, pieces: 50000, in: faulty)
            try faulty.sync([reference.name])
            #expect(try load(reference, pieces: 90000, in: faulty) == bytes)
            #expect(try faulty.open(reference)?.map().withBytes { Array($0) } == bytes)
            let second = ValueFileName(random: SystemCalls.random)
            try faulty.link(reference.name, to: second)
            #expect(try Set(faulty.list()) == [reference.name, second])
            try faulty.sweepTemporary()
            try faulty.unlink(reference.name)
            try faulty.unlink(second)
        }
        try scenario()
        failing.fail { _, _ in nil }
        try scenario()
        let count = failing.calls.count
        #expect(count > 30)
        for index in 0..<count {
            failing.fail { at, _ in at == index ? errno : nil }
            do {
                try scenario()
            } catch let error as SystemError {
                #expect(error.errno == errno)
            } catch let error as ValueFileError {
                if case .system(let error) = error { #expect(error.errno == errno) } else { Issue.record(error) }
            }
            failing.fail { _, _ in nil }
            try files.sweepTemporary()
            for name in try files.list() {
                #expect(try scratch.files.status(of: name.path, in: directory)?.size == bytes.count)
                try files.unlink(name)
            }
            #expect(try scratch.tree().filter { !$0.hasSuffix("/") } == [])
        }
    }

    @Test func aFullDiskIsAnErrorAndStaysOne() throws {
        let failing = FailingFiles()
        let full = ValueFiles(directory: directory, environment: Environment(files: failing))
        let writer = try full.beginWriting()
        try Self.bytes(1000).withUnsafeBytes { try writer.append($0) }
        failing.fail { _, call in call == "allocate" ? ErrorNumber.noSpace : nil }
        let more = Self.bytes(100_000)
        #expect(throws: SystemError.self) { try more.withUnsafeBytes { try writer.append($0) } }
        failing.fail { _, _ in nil }
        #expect(throws: SystemError.self) { try Self.three.withUnsafeBytes { try writer.append($0) } }
        #expect(throws: SystemError.self) { _ = try writer.finish() }
        #expect(writer.count == 1000)
    }

    @Test func spaceThatIsWantedAheadMayBeMissing() throws {
        let failing = FailingFiles()
        let full = ValueFiles(directory: directory, environment: Environment(files: failing))
        let writer = try full.beginWriting()
        failing.fail { index, call in call == "allocate" && index == 0 ? ErrorNumber.noSpace : nil }
        try Self.three.withUnsafeBytes { try writer.append($0) }
        #expect(failing.calls == ["allocate", "allocate", "write"])
        let reference = try writer.finish()
        try writer.place()
        #expect(try load(reference) == [1, 2, 3])
    }

    @Test func fileSystemsThatCannotAllocateAreWrittenTo() throws {
        let failing = FailingFiles()
        failing.fail { _, call in call == "allocate" ? ErrorNumber.notSupported : nil }
        let files = ValueFiles(directory: directory, environment: Environment(files: failing))
        let reference = try store(Self.bytes(5000), in: files)
        #expect(try load(reference) == Self.bytes(5000))
        #expect(failing.calls.filter { $0 == "allocate" }.count == 1)
    }
}
