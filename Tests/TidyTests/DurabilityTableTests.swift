import Testing

/// FORMAT.md 1 says what survives what, and which test shows it.
@Suite struct DurabilityTableTests {
    @Test func everyCellNamesATestThatIsThere() throws {
        let sources = try SourceTree("Tests")
        let text = try SourceTree.read(sources.root + "/FORMAT.md")
        let lines = text.split(separator: "\n").map(String.init)
        let first = try #require(lines.firstIndex { $0.hasPrefix("| what happens | `none`") })
        let rows = lines[(first + 2)...].prefix { $0.hasPrefix("|") }
        #expect(rows.count == 5)
        for row in rows {
            let cells = row.split(separator: "|").dropFirst().map(String.init).filter { $0 != " " }
            #expect(cells.count == 3, "\(row)")
            for cell in cells {
                let names = cell.split(separator: "`").filter { $0.contains("Tests.") }
                #expect(!names.isEmpty, "no test is named: \(cell)")
                for name in names {
                    let parts = name.split(separator: ".")
                    #expect(parts.count == 2, "\(name)")
                    let isThere = sources.files.contains { file in
                        file.text.contains("struct \(parts[0])")
                            && file.text.contains("func \(parts[parts.count - 1])(")
                    }
                    #expect(isThere, "there is no test \(name)")
                }
            }
        }
    }
}
