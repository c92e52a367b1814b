"""Fetched fragments, kept for a while: nothing is cached yet, the place is.

A fragment is what one source was asked: a whole query, or a scan by columns, predicates and a limit. It is planned in
`federation.planner.fragments` and read in `federation.fetch`, and nowhere else: a look-up will stand there. This
package will know `adapters` alone, neither the catalog nor the planner.
"""
