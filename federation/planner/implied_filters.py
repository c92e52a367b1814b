"""What alternatives over several tables say in any case: `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)` implies
`a.x = 1 OR a.x = 3`, which a source can be asked for, while the whole needs both tables. What all of them say, such as
`a.id = b.id`, holds by itself: it may join the tables, and a source tests it once.
"""

from __future__ import annotations

from sqlglot import exp

from federation.planner import filters
from federation.planner.rewriting import Context


def implied_filters(query: exp.Query, context: Context) -> exp.Query:  # noqa: ARG001 - the shape of a rule
    """Add the implied conditions to WHERE, beside what implies them."""
    for select in query.find_all(exp.Select):
        parts = filters.where_conjuncts(select)
        known = {part.sql() for part in parts}
        if filters.plain_joins(select):  # a RIGHT or FULL join keeps rows that WHERE would take away
            for join in select.args.get("joins") or []:
                if filters.is_inner(join):
                    parts += filters.conjuncts(join.args.get("on"))
        implied = {made.unnest().sql(): made for part in parts for made in _implied(part)}
        added = [made for text, made in implied.items() if text not in known]
        if added:
            filters.set_where(select, [*filters.where_conjuncts(select), *added])
    return query


def _implied(part: exp.Expr) -> list[exp.Expr]:
    """What all alternatives say, and one condition for each table that all of them restrict beside that, if they are
    about several tables."""
    if not isinstance(part, exp.Or) or len(filters.tables_of(part)) < 2 or part.find(exp.Query):
        return []
    branches = [
        {each.sql(): each for each in filters.conjuncts(branch) if filters.plain(each) and not filters.volatile(each)}
        for branch in part.flatten()
    ]
    common = {text: each for text, each in branches[0].items() if all(text in branch for branch in branches)}
    rests = [[each for text, each in branch.items() if text not in common] for branch in branches]
    made = [each.copy() for each in common.values()]
    for table in sorted(filters.tables_of(part)):
        alone = [[each for each in rest if filters.tables_of(each) == {table}] for rest in rests]
        if all(alone):
            kept = [filters.conjunction([each.copy() for each in branch]) for branch in alone]
            made.append(exp.or_(*dict.fromkeys(each for each in kept if each is not None)))
    return [exp.paren(each) if isinstance(each, exp.Or) else each for each in made]
