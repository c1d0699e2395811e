#if FAILPOINTS
    @testable import DiskCacheEngine

    /// The bound that compaction keeps: twice the live bytes plus three segments.
    package enum SpaceBound {
        private struct Figures {
            var taken = 0
            var live = 0
            var segment = SegmentHeader.granule
        }

        private static func figures(_ client: StoreClient, _ path: String) throws -> Figures {
            var figures = Figures()
            for name in TestDirectory.filesBelow(path) where !name.hasPrefix("files/tmp/") {
                guard let status = (try? SystemFiles().status(of: path + "/" + name, in: nil)) ?? nil else { continue }
                figures.taken += status.allocated
                if name.hasSuffix(".seg") { figures.segment = max(figures.segment, status.size) }
            }
            figures.live = try client.handle.withStore { (store) throws(EngineError) in store.liveBytes }
            return figures
        }

        /// What the directory takes, divided by what it may take.
        package static func excess(_ client: StoreClient, _ path: String) throws -> Double {
            var least = Double.infinity
            // While files are counted some go and others come, and both are counted: what is too much stays so.
            for _ in 0..<5 {
                let figures = try figures(client, path)
                least = min(least, Double(figures.taken) / Double(figures.live * 2 + figures.segment * 3))
                if least <= 1 { break }
            }
            return least
        }

        /// The figures, for a message.
        package static func description(_ client: StoreClient, _ path: String) throws -> String {
            let figures = try figures(client, path)
            let files = TestDirectory.filesBelow(path).map { name in
                let size = ((try? SystemFiles().status(of: path + "/" + name, in: nil)) ?? nil)?.allocated ?? 0
                return "\(name) \(size)"
            }
            return "\(figures.taken) bytes, live \(figures.live), segments of \(figures.segment): \(files)"
        }
    }
#endif
