extension Results {
    /// All figures of all rounds, with the histograms over all rounds, as a JSON document:
    /// `engines[].operations[].rounds[]` holds the nanoseconds of `Figure`, `histogram` pairs of nanoseconds and count.
    public func json(machine: Machine) -> String {
        let engines = contestants.indices.map { index in
            let operations = Operation.allCases.map { json($0, of: index) }
            let name = "\"name\":\(quoted(contestants[index].name))"
            let configuration = "\"configuration\":\(quoted(contestants[index].configuration))"
            return "{\(name),\(configuration),\"operations\":[\n\(operations.joined(separator: ",\n"))]}"
        }
        let machine =
            "{\"processor\":\(quoted(machine.processor)),\"cores\":\(machine.cores),"
            + "\"kernel\":\(quoted(machine.kernel))}"
        let workload =
            "{\"keys\":\(keyCount),\"keyBytes\":\(KeyFormat.size),\"valueBytes\":\(valueSize),\"rounds\":\(rounds)}"
        return "{\"machine\":\(machine),\n\"workload\":\(workload),\n\"harness\":\(json(harness)),\n"
            + "\"engines\":[\n\(engines.joined(separator: ",\n"))]}\n"
    }

    private func json(_ operation: Operation, of contestant: Int) -> String {
        var all = Histogram()
        let rounds = measurements[contestant].map { round in
            all.add(round[operation]!.latencies)
            return json(round[operation]!)
        }
        let histogram = all.counts.map { "[\($0.nanoseconds),\($0.count)]" }
        return "{\"name\":\(quoted(operation.rawValue)),\"count\":\(operation.count(keyCount: keyCount)),"
            + "\"rounds\":[\(rounds.joined(separator: ","))],\"histogram\":[\(histogram.joined(separator: ","))]}"
    }

    private func json(_ measurement: Measurement) -> String {
        let figures = Figure.allCases.map { "\(quoted($0.rawValue)):\(fixed($0.value(of: measurement), 3))" }
        return "{\(figures.joined(separator: ","))}"
    }
}

/// `text` as a JSON string.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 0x20:
            let hexadecimal = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
