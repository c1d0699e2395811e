/// A system call that failed: which, on what, and the `errno` that it left.
package struct SystemError: Error, Sendable, Equatable {
    /// The value of `errno` after the call.
    package let errno: Int32
    /// The C function, as its manual page names it.
    package let call: String
    /// The file or directory that the call was about, as the store names it.
    package let path: String

    package init(errno: Int32, call: String, path: String) {
        self.errno = errno
        self.call = call
        self.path = path
    }
}
