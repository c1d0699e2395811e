#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A plot of lines, written as SVG.
public struct Plot {
    /// How values are laid out along an axis.
    public enum Scale: Sendable {
        /// Equal differences take equal room.
        case linear
        /// Equal ratios take equal room.
        case logarithmic
        /// Percentiles: each further nine takes equal room. Values are fractions under 1.
        case nines
    }

    /// A line.
    public struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    private let title: String
    private let axes: (x: String, y: String)
    private let scales: (x: Scale, y: Scale)
    private var lines: [Line] = []

    /// A plot without lines.
    public init(_ title: String, x: String, _ xScale: Scale, y: String, _ yScale: Scale) {
        self.title = title
        axes = (x, y)
        scales = (xScale, yScale)
    }

    /// One more line; points that a scale can't show are left out.
    public mutating func add(_ name: String, _ points: [(x: Double, y: Double)]) {
        let shown = points.filter { point in
            Self.place(point.x, scales.x).isFinite && Self.place(point.y, scales.y).isFinite
        }
        if !shown.isEmpty { lines.append(Line(name: name, points: shown)) }
    }

    /// Whether it has lines.
    public var isEmpty: Bool { lines.isEmpty }

    private static let size = (width: 860.0, height: 460.0)
    private static let area = (left: 78.0, top: 40.0, right: 640.0, bottom: 404.0)
    /// Colours that are told apart in a print without colour and by most who don't see all of them (after Okabe and Ito), and dashes for more
    /// lines than colours.
    private static let colours = [
        "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B6914",
    ]
    private static let dashes = ["", "6 3", "2 3"]

    private static func place(_ value: Double, _ scale: Scale) -> Double {
        switch scale {
        case .linear: value
        case .logarithmic: log10(value)
        case .nines: -log10(1 - value)
        }
    }

    /// The document.
    public var svg: String {
        let points = lines.flatMap(\.points)
        let xRange = Self.range(points.map { Self.place($0.x, scales.x) }, scales.x)
        let yRange = Self.range(points.map { Self.place($0.y, scales.y) }, scales.y)
        let area = Self.area
        func x(_ value: Double) -> Double {
            area.left + (Self.place(value, scales.x) - xRange.0) / (xRange.1 - xRange.0) * (area.right - area.left)
        }
        func y(_ value: Double) -> Double {
            area.bottom - (Self.place(value, scales.y) - yRange.0) / (yRange.1 - yRange.0) * (area.bottom - area.top)
        }
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(Self.size.width)) \(Int(Self.size.height))\" "
                + "font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            Self.text(title, area.left, 22, anchor: "start", "font-size=\"15\" font-weight=\"bold\""),
        ]
        for tick in Self.ticks(xRange, scales.x) {
            let at = Self.rounded(x(tick.value))
            parts.append(
                "<line x1=\"\(at)\" y1=\"\(area.top)\" x2=\"\(at)\" y2=\"\(area.bottom)\" stroke=\"#ddd\"/>")
            parts.append(Self.text(tick.name, x(tick.value), area.bottom + 18, anchor: "middle"))
        }
        for tick in Self.ticks(yRange, scales.y) {
            let at = Self.rounded(y(tick.value))
            parts.append("<line x1=\"\(area.left)\" y1=\"\(at)\" x2=\"\(area.right)\" y2=\"\(at)\" stroke=\"#ddd\"/>")
            parts.append(Self.text(tick.name, area.left - 8, y(tick.value) + 4, anchor: "end"))
        }
        parts.append(Self.text(axes.x, (area.left + area.right) / 2, Self.size.height - 14, anchor: "middle"))
        let middle = Self.rounded((area.top + area.bottom) / 2)
        parts.append(Self.text(axes.y, 0, 0, anchor: "middle", "transform=\"translate(18 \(middle)) rotate(-90)\""))
        for (index, line) in lines.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let dash = Self.dashes[index / Self.colours.count % Self.dashes.count]
            let style =
                "stroke=\"\(colour)\" stroke-width=\"\(index == 0 ? 3 : 1.7)\" fill=\"none\""
                + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"")
            let path = line.points.map { "\(Self.rounded(x($0.x))),\(Self.rounded(y($0.y)))" }.joined(separator: " ")
            parts.append("<polyline points=\"\(path)\" \(style)/>")
            if line.points.count <= 12 {
                for point in line.points {
                    parts.append(
                        "<circle cx=\"\(Self.rounded(x(point.x)))\" cy=\"\(Self.rounded(y(point.y)))\" r=\"3\" fill=\"\(colour)\"/>"
                    )
                }
            }
            let top = area.top + 10 + Double(index) * 19
            parts.append(
                "<line x1=\"\(area.right + 14)\" y1=\"\(top)\" x2=\"\(area.right + 40)\" y2=\"\(top)\" \(style)/>")
            parts.append(Self.text(line.name, area.right + 46, top + 4, anchor: "start"))
        }
        return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private static func text(
        _ text: String, _ x: Double, _ y: Double, anchor: String, _ more: String = ""
    ) -> String {
        let escaped = text.map { $0 == "&" ? "&amp;" : $0 == "<" ? "&lt;" : $0 == ">" ? "&gt;" : "\($0)" }.joined()
        return
            "<text x=\"\(rounded(x))\" y=\"\(rounded(y))\" text-anchor=\"\(anchor)\" fill=\"#222\" \(more)>\(escaped)</text>"
    }

    private static func rounded(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    /// What an axis shows, in places: whole decades and nines; from 0 on a linear axis.
    private static func range(_ places: [Double], _ scale: Scale) -> (Double, Double) {
        let (least, greatest) = (places.min() ?? 0, places.max() ?? 1)
        switch scale {
        case .linear: return (min(0, least), greatest <= 0 ? 1 : greatest * 1.05)
        case .logarithmic:
            let low = (least * 3).rounded(.down) / 3
            return (low, max(low + 1, (greatest * 3).rounded(.up) / 3))
        case .nines: return (0, max(1, greatest))
        }
    }

    /// The values that an axis names.
    static func ticks(_ range: (Double, Double), _ scale: Scale) -> [(value: Double, name: String)] {
        switch scale {
        case .linear:
            let rough = (range.1 - range.0) / 6
            let decade = pow(10, log10(rough).rounded(.down))
            let step = [1, 2, 5, 10].map { $0 * decade }.first { $0 >= rough } ?? rough
            return stride(from: (range.0 / step).rounded(.up) * step, through: range.1, by: step).map { ($0, name($0)) }
        case .logarithmic:
            let isWide = range.1 - range.0 > 3.5
            return stride(from: range.0.rounded(.down), through: range.1, by: 1).flatMap { decade in
                (isWide ? [1.0] : [1, 2, 5]).map { $0 * pow(10, decade) }
            }.filter { log10($0) >= range.0 - 1e-9 && log10($0) <= range.1 + 1e-9 }.map { ($0, name($0)) }
        case .nines:
            return [(0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
                .filter { -log10(1 - $0.0) <= range.1 }
        }
    }

    private static func name(_ value: Double) -> String {
        switch value {
        case 1e6...: "\(short(value / 1e6)) M"
        case 1e3...: "\(short(value / 1e3)) k"
        default: short(value)
        }
    }

    private static func short(_ value: Double) -> String {
        let rounded = (value * 1000).rounded() / 1000
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
