"""Operations that need an order: queues, iteration, expiry, tags, eviction, statistics."""
