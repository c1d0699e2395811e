import Testing

@testable import DiskCache

@Test func moduleLoads() {}
