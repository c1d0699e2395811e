import DiskCacheEngine

@main
enum Main {
    static func main() {
        print("diskcache \(EngineVersion.library)")
    }
}
