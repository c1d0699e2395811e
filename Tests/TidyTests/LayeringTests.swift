import Testing

/// A layer knows only the layers below it: no file names a type that a higher folder declares.
@Suite struct LayeringTests {
    /// Folders from the lowest to the highest; folders of one row may know each other.
    static let engine: [[String]] = [
        ["Bytes"], ["Platform"], ["Log"], ["Views/HashIndex"], ["Views/BTree"], ["Store"],
    ]
    static let library: [[String]] = [
        ["Errors"], ["Coding"], ["Values"], ["Iteration"], ["Cache"], ["Collections"], ["Recipes"],
    ]

    static let surface: [[String]] = [["Async"], ["Recipes"]]

    @Test(arguments: [
        ("Sources/DiskCacheEngine", engine), ("Sources/DiskCacheCore", library), ("Sources/DiskCache", surface),
    ])
    func noFileNamesWhatAHigherLayerDeclares(module: String, layers: [[String]]) throws {
        let tree = try SourceTree(module)
        func layer(of file: SourceTree.File) -> Int? {
            let path = file.path.dropFirst(module.count + 1)
            return layers.firstIndex { row in row.contains { path.hasPrefix($0 + "/") } }
        }
        var home: [Substring: Int] = [:]
        for file in tree.files {
            guard let layer = layer(of: file) else {
                // Files beside the folders belong to no layer: all know them, and they know none.
                #expect(!file.path.dropFirst(module.count + 1).contains("/"), "\(file.path) is in no layer's folder")
                continue
            }
            for name in Self.declaredTypes(file) {
                // Else it couldn't be said which of them a file means.
                if let other = home[name], other != layer {
                    Issue.record("the layers \(layers[other]) and \(layers[layer]) both declare \(name)")
                }
                home[name] = layer
            }
        }
        try #require(!home.isEmpty)
        for file in tree.files {
            let own = layer(of: file) ?? -1
            for word in Set(words(of: file.text)) {
                guard let declaring = home[word], declaring > own else { continue }
                Issue.record("\(file.path) names \(word), which the layer \(layers[declaring]) declares")
            }
        }
    }

    /// Types that a file declares at its outermost level, those left out that it alone can name.
    static func declaredTypes(_ file: SourceTree.File) -> [Substring] {
        file.lines.compactMap { line in
            guard let first = line.first, first != " ", first != "/" else { return nil }
            let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
            guard let keyword = words.firstIndex(where: keywords.contains) else { return nil }
            if words[..<keyword].contains(where: { $0 == "private" || $0 == "fileprivate" }) { return nil }
            return words.dropFirst(keyword + 1).first
        }
    }

    private static let keywords: Set<Substring> = ["struct", "class", "enum", "protocol", "actor", "typealias"]

    @Test func declarationsAreFound() {
        let text = """
            @usableFromInline package enum A: UInt8 {
                struct Inner {}
            public final class B: Sendable {
            private struct C {
            public typealias D = Int
            actor E {}
            extension F {
            // struct G
            protocol H: AnyObject {}
            """
        #expect(Self.declaredTypes(SourceTree.File(path: "", text: text)) == ["A", "B", "D", "E", "H"])
    }
}
