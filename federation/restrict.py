"""A table of which the caller's roles filter rows or mask columns, as a subquery of what is left of it.

The filter and the masks read the columns as they are. A mask has the type of its column, so that a statement means the
same to everybody.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.errors import CatalogError, Error, NotSupportedError
from adapters.sql.dialect import FENCE, is_fence
from catalog.catalog import Catalog
from catalog.model import CatalogTable
from catalog.names import did_you_mean, nearest
from catalog.policies import Restriction, find_table, unfit
from catalog.policy_expressions import columns_of, filled_in
from catalog.roles import Policy
from federation.local import LocalSchema

ALIAS = "restricted"
_MOVED = ("this", "db", "catalog", "alias")


def restricted(
    table: exp.Table,
    identifier: str,
    found: CatalogTable,
    alias: exp.TableAlias,
    restriction: Restriction,
    local: LocalSchema,
) -> None:
    """Put the subquery in the table's place. Raises CatalogError where a policy does not fit the table."""
    kept = {key: value for key, value in table.args.items() if key not in _MOVED and value}
    if kept.keys() - exp.Subquery.arg_types.keys():
        raise NotSupportedError(f"{table.sql('duckdb')} is not available for a table that is filtered or masked")
    try:
        inner = _left(identifier, found, alias.this, restriction, local)
    except CatalogError as exc:
        raise unfit(found.source.name) from exc
    table.replace(exp.Subquery(this=inner, alias=alias, **kept))


def drop_fences(query: exp.Query) -> None:
    """In place: a LIMIT of the statement's own that cuts nothing would be taken for one that hides what is below it."""
    for each in query.find_all(exp.Query):
        if is_fence(each):
            each.set("limit", None)


def check_policy(catalog: Catalog, policy: Policy, local: LocalSchema) -> None:
    """Raises CatalogError with what is wrong where it does not fit its table, and what a source says."""
    found = find_table(catalog, policy)
    names = [column.name for column in found.table.columns]
    for name in columns_of(policy.expression):
        if name.lower() not in {each.lower() for each in names}:
            raise CatalogError(f"{found.full_name} has no column {name}", hint=did_you_mean(nearest(name, names)))
    expression = filled_in(policy.expression, "", lambda _: "", ALIAS)
    if policy.column is None:
        restriction = Restriction(condition=expression)
    else:
        restriction = Restriction(masked={policy.column.lower(): expression})
    _left(local.identify(found), found, exp.to_identifier(ALIAS), restriction, local)


def _left(
    identifier: str, found: CatalogTable, alias: exp.Identifier, restriction: Restriction, local: LocalSchema
) -> exp.Select:
    """SELECT every column or its mask FROM the table WHERE the filter, behind a fence (`planner/fences.py`)."""
    relation = exp.Table(this=exp.to_identifier(identifier), alias=exp.TableAlias(this=alias.copy()))
    columns = {
        column.name: exp.column(exp.to_identifier(column.name, quoted=True), alias.copy())
        for column in found.table.columns
    }
    masks = {name: mask for name in columns if (mask := restriction.masked.get(name.lower())) is not None}
    condition = [restriction.condition] if restriction.condition is not None else []
    types = _types(found, relation, columns, [*masks.values(), *condition], local)
    if condition and types[-1] != "BOOLEAN":
        raise CatalogError(f"the row filter of {found.full_name} is no condition but {types[-1]}")
    wanted = local.columns(identifier)
    cast = {
        name: _cast(masks[name], wanted[name], found)
        for name, type_ in zip(masks, types, strict=False)
        if type_ != wanted[name]
    }
    _types(found, relation, columns, list(cast.values()), local)  # there may be no such cast
    masks |= cast
    items = [
        exp.alias_(masks[name], name, quoted=True) if name in masks else column for name, column in columns.items()
    ]
    left = exp.Select(expressions=items).from_(relation)
    return left.where(*condition, copy=False).limit(FENCE, copy=False) if condition else left


def _types(
    found: CatalogTable,
    relation: exp.Table,
    columns: dict[str, exp.Column],
    expressions: list[exp.Expr],
    local: LocalSchema,
) -> list[str]:
    """DuckDB's types of the expressions. The bare column beside them makes an aggregate among them an error."""
    if not expressions:
        return []
    items = [next(iter(columns.values())), *(exp.alias_(each.copy(), f"e{i}") for i, each in enumerate(expressions))]
    try:
        return [type_ for _, type_ in local.describe(exp.Select(expressions=items).from_(relation).sql("duckdb"))][1:]
    except Error as exc:
        said = f"a policy of {found.full_name} does not fit the table: {exc.message.splitlines()[0]}"
        raise CatalogError(said, hint=exc.hint, source=found.source.name) from exc


def _cast(mask: exp.Expr, type_: str, found: CatalogTable) -> exp.Expr:
    try:
        return exp.cast(mask, exp.DataType.build(type_, dialect="duckdb"))
    except (SqlglotError, ValueError) as exc:
        raise CatalogError(f"a column of {found.full_name} cannot be masked: its type is {type_}") from exc
