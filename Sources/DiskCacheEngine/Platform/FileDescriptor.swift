/// An open file or directory. Closed when the last reference goes.
package final class FileDescriptor: Sendable {
    /// The number that system calls take; never 0, 1 or 2.
    package let number: Int32
    /// What errors call it.
    package let path: String

    package init(number: Int32, path: String) {
        self.number = number
        self.path = path
    }

    deinit { SystemCalls.close(number) }
}
