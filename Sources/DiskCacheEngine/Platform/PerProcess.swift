import Synchronization

/// An object that every process makes for itself: a child of a fork, whose parent's threads are gone and whose parent's locks may be
/// held for ever, gets a new one at its first use and never touches the other.
package final class PerProcess<Object: AnyObject & Sendable>: Sendable {
    private final class Box: Sendable {
        let object: Object
        let forks: UInt32

        init(_ object: Object) {
            self.object = object
            forks = ForkGuard.forks.load(ordering: .relaxed)
        }
    }

    private let make: @Sendable () -> Object
    /// The address of a box, retained; 0 before the first use.
    private let word = Atomic<UInt>(0)

    /// An object that `make` makes when it is used for the first time in a process.
    package init(_ make: @escaping @Sendable () -> Object) {
        ForkGuard.install()
        self.make = make
    }

    deinit {
        guard let (box, _) = box(at: word.load(ordering: .acquiring)) else { return }
        box.release()
    }

    /// This process's object.
    package var current: Object {
        while true {
            let found = word.load(ordering: .acquiring)
            if let (_, object) = box(at: found) { return object }
            // The parent's is never released: nothing of it may be torn down here.
            let made = Unmanaged.passRetained(Box(make()))
            if word.compareExchange(
                expected: found, desired: UInt(bitPattern: made.toOpaque()), ordering: .acquiringAndReleasing
            ).exchanged {
                return made._withUnsafeGuaranteedRef { $0.object }
            }
            made.release()
        }
    }

    /// This process's object, if it was used already.
    package var existing: Object? { box(at: word.load(ordering: .acquiring))?.object }

    private func box(at address: UInt) -> (box: Unmanaged<Box>, object: Object)? {
        guard let pointer = UnsafeRawPointer(bitPattern: address) else { return nil }
        let box = Unmanaged<Box>.fromOpaque(pointer)
        return box._withUnsafeGuaranteedRef { found in
            found.forks == ForkGuard.forks.load(ordering: .relaxed) ? (box, found.object) : nil
        }
    }
}
