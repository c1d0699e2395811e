import Testing

@testable import DiskCacheEngine

@Test func formatIsOne() { #expect(EngineVersion.format == 1) }
