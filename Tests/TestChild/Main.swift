/// The program that tests start as their other processes.
@main
enum TestChild {
    static func main() {}
}
