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
        var home: [Substring: Set<Int>] = [:]
        for file in tree.files {
            guard let layer = layer(of: file) else {
                // Files beside the folders belong to no layer, and only constants stand there.
                #expect(!file.path.dropFirst(module.count + 1).contains("/"), "\(file.path) is in no layer's folder")
                continue
            }
            for name in Self.declaredTypes(file) { home[name, default: []].insert(layer) }
        }
        for file in tree.files {
            guard let own = layer(of: file) else { continue }
            for word in Set(words(of: file.text)) {
                guard let lowest = home[word]?.min(), lowest > own else { continue }
                Issue.record("\(file.path) names \(word), which the layer \(layers[lowest]) declares")
            }
        }
    }

    /// Types declared at a file's outermost level.
    static func declaredTypes(_ file: SourceTree.File) -> [Substring] {
        file.lines.compactMap { line in
            guard let first = line.first, first != " ", first != "/" else { return nil }
            let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
            guard let keyword = words.firstIndex(where: { ["struct", "class", "enum", "protocol"].contains($0) }) else {
                return nil
            }
            return words.dropFirst(keyword + 1).first
        }
    }
}
