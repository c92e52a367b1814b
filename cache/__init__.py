"""TTL cache of fetched fragments: the place is kept; nothing is cached yet."""
