"""What is kept from one query to the next: what reads have shown (`learned`). Fetched fragments are not cached yet.

A fragment is what one source was asked: a whole query, or a scan by columns, predicates and a limit. It is planned in
`federation.planner.fragments` and read in `federation.fetch`, and nowhere else: a look-up will stand there. This
package will know `adapters` alone, neither the catalog nor the planner.
"""
