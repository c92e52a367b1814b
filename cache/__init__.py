"""What is kept from one query to the next: what reads have shown (`learned`), and fragments (`store`).

A fragment is what one source was asked: a whole query, or a scan by columns, predicates and a limit.

1. `keys` says what a fragment is kept under, `entry` what the index says of it.
2. `store` looks it up, and gives the turn to fetch it to one of all who want it, in all processes (`locks`).
3. `recording` takes the batches as they arrive, `payload` writes them to a file and maps them into memory.
4. `pruning` gives those of a file that conditions leave.
5. `folder` is one per version, and in use by any number of processes; `eviction` says what goes when there is no room.
6. `about` and `usage` say what a fragment is and how often it was given, `pins` what is kept warm.
7. `sealing` encrypts files and the index, where there is a key.

This package knows `adapters` alone, neither the catalog nor the planner: what may be cached, and for how long, is
decided in `federation.caching`.
"""
