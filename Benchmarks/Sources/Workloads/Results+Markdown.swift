extension Results {
    /// A report with a table of all figures and a table of ratios to the contestant `reference`.
    public func markdown(reference: Int, machine: Machine) -> String {
        let keys = "\(grouped(keyCount)) keys of \(KeyFormat.size) bytes, values of \(valueSize) bytes"
        var lines = [
            "\(machine.processor), \(machine.cores) cores, \(machine.kernel). \(keys), one operation a commit,",
            "\(rounds) rounds in which the engines take turns. Microseconds; medians over the rounds (max: the longest of",
            "all rounds). op/s from a loop without a clock read a call; the other columns include one clock read and the",
            "work on the key, which by themselves take p50 \(micros(Figure.median.value(of: harness))), "
                + "in the loop \(micros(harness.loop)). In the loop the",
            "processor overlaps the memory accesses of successive operations, which flatters short ones.",
            "",
            "| operation | engine | p50 | mean | p99 | p99.9 | max | op/s |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        for operation in Operation.allCases {
            for (index, contestant) in contestants.enumerated() {
                let cells = Figure.allCases.map { figure in
                    let spread = spread(figure, operation, of: index)
                    return switch figure {
                    case .maximum: micros(spread.greatest)
                    case .loop: grouped(Int((1e9 / spread.median).rounded()))
                    default: micros(spread.median)
                    }
                }
                lines.append("| \(operation.rawValue) | \(contestant.name) | \(cells.joined(separator: " | ")) |")
            }
        }
        lines += [
            "",
            "Time an operation divided by the time of `\(contestants[reference].name)` in the same round: median of the",
            "rounds (least - greatest). Above 1: slower than `\(contestants[reference].name)`.",
            "",
            "| operation | engine | p50 | mean | loop |",
            "|---|---|--:|--:|--:|",
        ]
        for operation in Operation.allCases {
            for (index, contestant) in contestants.enumerated() where index != reference {
                let cells = [Figure.median, .mean, .loop].map { figure in
                    let ratio = ratio(figure, operation, of: index, to: reference)
                    return "\(fixed(ratio.median, 2)) (\(fixed(ratio.least, 2)) - \(fixed(ratio.greatest, 2)))"
                }
                lines.append("| \(operation.rawValue) | \(contestant.name) | \(cells.joined(separator: " | ")) |")
            }
        }
        lines.append("")
        lines += contestants.map { "- `\($0.name)`: \($0.configuration)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Nanoseconds as microseconds with three digits behind the point under ten, and one above.
private func micros(_ nanoseconds: Double) -> String {
    fixed(nanoseconds / 1000, nanoseconds < 10_000 ? 3 : 1)
}

/// A number that isn't negative, with `digits` behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((value * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    return digits == 0
        ? "\(scaled)" : "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

/// A number that isn't negative, with a comma before each group of three digits.
func grouped(_ value: Int) -> String {
    value < 1000 ? "\(value)" : grouped(value / 1000) + "," + String("\(1000 + value % 1000)".dropFirst())
}
