import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// What is retired waits for each thread that reads, whether a stripe is its own or shared. More threads than there are stripes have
/// some of both.
@Suite(.serialized) struct ReaderPinsTests {
    private final class State: Sendable {
        let inside = Atomic<Int>(0)
        let mayLeave = ParkingWord(0)
        let isFreed = Atomic<Bool>(false)
    }

    @Test func freesWhenTheLastReaderHasLeft() {
        let count = 80
        let state = State()
        let threads = TestThreads.Group()
        for number in 0..<count {
            threads.start {
                let pin = ReaderPins.enter(ReaderPins.base)
                // Reads inside of reads.
                for _ in 0..<3 { ReaderPins.leave(ReaderPins.enter(ReaderPins.base)) }
                state.inside.wrappingAdd(1, ordering: .sequentiallyConsistent)
                while true {
                    let first = state.mayLeave.load()
                    if first > number { break }
                    state.mayLeave.wait(while: first, nanoseconds: 1_000_000_000)
                }
                ReaderPins.leave(pin)
                state.inside.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            }
        }
        #expect(eventually { state.inside.load(ordering: .acquiring) == count })
        ReaderPins.retire { state.isFreed.store(true, ordering: .sequentiallyConsistent) }
        for left in stride(from: 4, through: count, by: 4) {
            ReaderPins.collect()
            let isFreed = state.isFreed.load(ordering: .acquiring)
            #expect(!isFreed, "\(left - 4) of \(count) have left")
            state.mayLeave.add(4)
            state.mayLeave.wake()
            #expect(eventually { state.inside.load(ordering: .acquiring) == count - left })
        }
        threads.join()
        // Other tests read meanwhile.
        #expect(
            eventually {
                ReaderPins.collect()
                return state.isFreed.load(ordering: .acquiring)
            })
    }
}
