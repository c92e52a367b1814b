"""Branches of UNION ALL without rows are dropped, as long as the names and types of the result stay what they are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from federation.planner.rewriting import Context, fresh_aliases

_TAIL = ("order", "limit", "offset")


def drop_branches(root: exp.Query, without_rows: Sequence[exp.Expr], context: Context) -> exp.Query:
    """The query, which is changed in place, without the branches that are in `without_rows`."""
    gone = {id(each) for each in without_rows}
    unions = [
        each for each in root.find_all(exp.Union) if not each.args.get("distinct") and not each.args.get("by_name")
    ]
    for union in reversed(unions):  # the innermost first
        left, right = union.this, union.expression
        kept = right if _is_in(left, gone) else left if _is_in(right, gone) else None
        if kept is None or (_is_in(left, gone) and _is_in(right, gone)):
            continue
        made = _alone(union, kept, root, context)
        if made is None:
            continue
        if union is root:
            root = made
        else:
            union.replace(made)
    return root


def _is_in(branch: exp.Expr, gone: set[int]) -> bool:
    return id(branch) in gone or (isinstance(branch, exp.Subquery) and _is_in(branch.this, gone))


def _alone(union: exp.Union, kept: exp.Expr, root: exp.Expr, context: Context) -> exp.Query | None:
    """One side of a union as a query with the same result; None where its types alone are others."""
    described = context.describe(union) if not union.args.get("with_") else None
    if described is None:
        return None
    kept = kept.copy()
    _rename(kept, [name for name, _ in described])
    if context.describe(kept) != described:
        return None
    fits = isinstance(kept, exp.Select) or not isinstance(union.parent, exp.SetOperation)
    simple = fits and not isinstance(kept, exp.Subquery) and not any(kept.args.get(key) for key in (*_TAIL, "with_"))
    if simple and isinstance(kept, exp.Query) and not any(union.args.get(key) for key in _TAIL):
        return kept
    alias = fresh_aliases("kept", root)[0]
    items = [exp.column(exp.to_identifier(name, quoted=True), alias) for name, _ in described]
    names = [exp.alias_(item, name, quoted=True) for item, (name, _) in zip(items, described, strict=True)]
    inner = kept.this if isinstance(kept, exp.Subquery) else kept
    made = exp.Select(expressions=names)
    made.set("from_", exp.From(this=exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias)))))
    for key in _TAIL:
        if union.args.get(key):
            made.set(key, union.args[key].copy())
    return made


def _rename(query: exp.Expr, names: Sequence[str]) -> None:
    """The outputs of a query get these names."""
    while not isinstance(query, exp.Select):
        query = query.this
    for item, name in zip(query.expressions, names, strict=True):
        if item.alias_or_name != name:
            item.replace(exp.alias_(item.unalias().copy(), name, quoted=True))
