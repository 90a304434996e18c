"""What a trainer reads: rows made once for a scale, in an order that no sharding changes."""
