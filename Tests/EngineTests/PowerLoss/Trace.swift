/// What a run did to files and directory entries, in order: what a machine that loses power may keep any part of.
///
/// A node is a file or a directory, by number; 0 is the directory above all. Content is told in pages of 4 KiB, each as it was
/// after the event, whether it got there by pwrite or by a store into a mapping.
struct Trace {
    static let pageSize = 4096

    /// A place in a directory.
    struct Name: Hashable {
        let directory: Int
        let name: String
    }

    enum Event {
        /// A name now stands for a node; nil: it is gone. `movedTo`: the place that took its node over in the same rename.
        case entry(Name, node: Int?, movedTo: Name?)
        /// A file has another length.
        case size(Int, Int)
        /// A page of a file has other bytes.
        case page(Int, number: Int, bytes: [UInt8])
        /// A sync of a file or a directory has returned; it covers the events before `begun`.
        case sync(Int, begun: Int)
    }

    /// What stood there before the recording, durable.
    var base: [Event] = []
    var events: [Event] = []
    /// Which nodes are directories.
    var directories: Set<Int> = [0]
    var nodes = 1
}
