/// Changes of a deque and of an index that a process makes one after the other, and that its parent knows of as well: each follows from
/// the seed, its number and what was there before.
package struct CollectionScript: Sendable {
    package let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// From how many bytes on a value gets a file.
    package static let minFileSize = 4096

    private func random(_ number: Int) -> ReplayableRandom {
        ReplayableRandom(seed: ReplayableRandom.mix(seed, UInt64(number)))
    }

    private static func value(_ number: Int, _ part: Int, _ random: inout ReplayableRandom) -> String {
        "\(number).\(part)" + (random.oneIn(9) ? String(repeating: " ", count: minFileSize) : "")
    }

    // MARK: Deque

    package enum DequeChange: Sendable {
        case append([String]), prepend([String])
        case popFirst, popLast
        case rotate(Int), reverse
        case set(String, Int), remove(Int)
        case limit(Int?)
        /// Appended and rotated, and taken back.
        case abandoned([String])
    }

    package struct DequeModel: Equatable, Sendable {
        package var elements: [String] = []
        package var limit: Int?

        package init(_ elements: [String] = [], limit: Int? = nil) {
            self.elements = elements
            self.limit = limit
        }

        package var lines: [String] { elements + ["at most \(limit ?? -1)"] }

        package mutating func apply(_ change: DequeChange) {
            switch change {
            case .append(let added):
                for element in added {
                    elements.append(element)
                    if let limit, elements.count > limit { elements.removeFirst() }
                }
            case .prepend(let added):
                for element in added.reversed() {
                    elements.insert(element, at: 0)
                    if let limit, elements.count > limit { elements.removeLast() }
                }
            case .popFirst: if !elements.isEmpty { elements.removeFirst() }
            case .popLast: _ = elements.popLast()
            case .rotate(let count):
                guard !elements.isEmpty else { return }
                let steps = (count % elements.count + elements.count) % elements.count
                elements = Array(elements.suffix(steps) + elements.dropLast(steps))
            case .reverse: elements.reverse()
            case .set(let element, let index): elements[index] = element
            case .remove(let index): elements.remove(at: index)
            case .limit(let limit):
                self.limit = limit
                if let limit { elements = Array(elements.suffix(limit)) }
            case .abandoned: break
            }
        }
    }

    package func change(_ number: Int, of model: DequeModel) -> DequeChange {
        var random = random(number)
        let count = model.elements.count
        let added = (0..<Int.random(in: 1...5, using: &random)).map { Self.value(number, $0, &random) }
        if count < 8 { return .append(added) }
        switch Int.random(in: 0..<(count > 60 ? 20 : 16), using: &random) {
        case 0..<3: return .append(added)
        case 3..<5: return .prepend(added)
        case 5: return .popFirst
        case 6: return .popLast
        case 7..<10: return .rotate(Int.random(in: -count...count, using: &random))
        case 10..<12: return .reverse
        case 12: return .set(added[0], Int.random(in: 0..<count, using: &random))
        case 13: return .remove(Int.random(in: 0..<count, using: &random))
        case 14: return .limit(random.oneIn(2) ? nil : Int.random(in: count / 2...count, using: &random))
        case 15: return .abandoned(added)
        case 16..<18: return .limit(20)
        default: return .popFirst
        }
    }

    // MARK: Index

    package enum IndexChange: Sendable {
        case set(String, String), merge([(key: String, value: String)]), remove(String)
        case popFirst, popLast
        case update(String)
        case clear
        /// Merged and popped, and taken back.
        case abandoned([(key: String, value: String)])
    }

    package struct IndexModel: Sendable {
        package var items: [(key: String, value: String)] = []

        package init() {}

        private mutating func set(_ key: String, _ value: String) {
            if let place = items.firstIndex(where: { $0.key == key }) {
                items[place].value = value
            } else {
                items.append((key, value))
            }
        }

        package mutating func apply(_ change: IndexChange) {
            switch change {
            case .set(let key, let value): set(key, value)
            case .merge(let added): for (key, value) in added { set(key, value) }
            case .remove(let key): items.removeAll { $0.key == key }
            case .popFirst: if !items.isEmpty { items.removeFirst() }
            case .popLast: _ = items.popLast()
            case .update(let key): set(key, (items.first { $0.key == key }?.value ?? "") + "+")
            case .clear: items = []
            case .abandoned: break
            }
        }

        package var lines: [String] { items.map { "\($0.key) = \($0.value)" } }
    }

    package func change(_ number: Int, of model: IndexModel) -> IndexChange {
        var random = random(number)
        let added = (0..<Int.random(in: 1...5, using: &random)).map { part in
            (key: "key \(Int.random(in: 0..<60, using: &random))", value: Self.value(number, part, &random))
        }
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<4: return .set(added[0].key, added[0].value)
        case 4..<9: return .merge(added)
        case 9..<11: return .remove(added[0].key)
        case 11..<14: return .popFirst
        case 14..<16: return .popLast
        case 16..<18: return .update(added[0].key)
        case 18: return random.oneIn(10) ? .clear : .popFirst
        default: return .abandoned(added)
        }
    }
}
