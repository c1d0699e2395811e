import Testing

/// Rules of style that a machine can hold us to.
@Suite struct TidyTests {
    static let longestFile = 500

    @Test func noFileIsLongerThanAReaderFollows() throws {
        for file in try SourceTree("Sources").files {
            #expect(file.lines.count <= Self.longestFile, "\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test func theLibraryImportsNoFoundation() throws {
        for file in try SourceTree("Sources").files {
            let imports = file.lines.filter { $0.contains("import Foundation") }
            #expect(imports.isEmpty, "\(file.path) imports Foundation")
        }
    }

    @Test func theSystemsLibraryIsImportedInOneFolderAlone() throws {
        let libraries = ["Glibc", "Musl", "Darwin", "Android"]
        let allowed = ["Sources/DiskCacheEngine/Platform/", "Sources/DiskCacheTool/Platform"]
        for file in try SourceTree("Sources").files where !allowed.contains(where: { file.path.hasPrefix($0) }) {
            for line in file.lines {
                let words = line.split(separator: " ")
                guard let at = words.firstIndex(of: "import"), at + 1 < words.count else { continue }
                #expect(!libraries.contains(String(words[at + 1])), "\(file.path): \(line)")
            }
        }
    }

    @Test func nothingTrapsOnInput() throws {
        for file in try SourceTree("Sources").files {
            for word in ["try!", "as!", "fatalError("] {
                let places = file.lines.filter { !$0.contains("//") && $0.contains(word) }
                #expect(places.isEmpty, "\(file.path) has \(word)")
            }
        }
    }

    @Test func nothingIsLeftForLater() throws {
        for folder in ["Sources", "Tests"] {
            for file in try SourceTree(folder).files where !file.path.hasPrefix("Tests/TidyTests/") {
                for word in ["TODO", "FIXME", "XXX"] { #expect(!file.text.contains(word), "\(file.path) has \(word)") }
            }
        }
    }

    @Test func everyTypedCatchOfTheEngineIsExhaustive() throws {
        // A typed call and a catch with a condition in one function crash the compiler (Swift 6.3.1).
        for file in try SourceTree("Sources/DiskCacheEngine").files {
            for line in file.lines where line.contains("catch") && line.contains(" where ") && line.hasSuffix("{") {
                Issue.record("\(file.path): \(line)")
            }
        }
    }
}
