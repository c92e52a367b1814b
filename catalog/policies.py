"""Who asks, and what the roles of the catalog leave of a table for them.

Grants add up. Of the rows, those remain that one of the granting roles leaves; a column is masked unless one of them
leaves it as it is. The tables of a view need no grant of their own, yet are filtered and masked all the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from sqlglot import exp

from adapters.base import TableName
from adapters.errors import AmbiguousTable, CatalogError, InsufficientPrivilege, SchemaNotFound, TableNotFound
from catalog.catalog import Catalog
from catalog.model import CatalogTable, Source, View
from catalog.names import did_you_mean, nearest, show_name
from catalog.policy_expressions import filled_in
from catalog.roles import Grant, Policy, Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `identity` is as lists of queries show it, `name` what `current_user` is. The roles and attributes of a
    `user` of the catalog are those of the catalog at each statement; those of others are `roles` and `attributes`."""

    identity: str
    name: str | None = None
    user: str | None = None
    roles: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Equal for callers whom the same statements may be told of: as one name may be given other rights."""
        rights = sha256(repr((self.roles, sorted(self.attributes))).encode()).hexdigest()[:16]
        return f"{self.identity} {rights}" if self.roles or self.attributes else self.identity


def user_caller(name: str) -> Caller:
    """A user of the catalog file."""
    return Caller(f"user:{name}", name, name)


@dataclass(frozen=True, slots=True)
class Restriction:
    """What is left of a table: the rows for which `condition` is true, with expressions in place of the `masked`
    columns, by their names in lower case."""

    condition: exp.Expr | None = None
    masked: Mapping[str, exp.Expr] = field(default_factory=dict)


class Rights:
    """Of one caller, by the catalog of now. Nobody, and a catalog without roles, restrict nothing."""

    def __init__(self, catalog: Catalog, caller: Caller | None) -> None:
        self._catalog = catalog
        self.caller = caller
        self._checked: set[str] = set()
        self.restricted = caller is not None and bool(catalog.access.roles)
        names: Iterable[str] = ()
        self._attributes: Mapping[str, str] = {}
        if caller is not None and caller.user is None:
            names, self._attributes = caller.roles, dict(caller.attributes)
        elif caller is not None and (user := catalog.access.users.get(caller.user or "")) is not None:
            names, self._attributes = user.roles, user.attributes
        self._roles = tuple(catalog.access.roles[name] for name in names if name in catalog.access.roles)

    @property
    def key(self) -> frozenset[str] | None:
        """Equal for callers to whom the same tables are granted; None for those who may see all."""
        return frozenset(role.name for role in self._roles) if self.restricted else None

    @property
    def whose(self) -> Hashable:
        """Equal for callers to whom the same statement means the same; None for those who may see all."""
        if not self.restricted or self.caller is None:
            return None
        return tuple(role.name for role in self._roles), self.caller.name, frozenset(self._attributes.items())

    @property
    def withholds(self) -> bool:
        """Whether a table that the caller reads may hold values that they must not see."""
        return self.restricted and any(role.policies for role in self._roles)

    # --- what is granted --------------------------------------------------------------------------------------------

    def reads_table(self, source: Source, name: TableName) -> bool:
        return not self.restricted or bool(self._granting(source, name))

    def reads_view(self, view: View) -> bool:
        return not self.restricted or any(grant.covers_view(view) for grant in self._grants())

    def sees_source(self, source: str) -> bool:
        """Whether anything of it is granted."""
        first = {grant.parts[0].casefold() if grant.parts else source.casefold() for grant in self._grants()}
        return not self.restricted or source.casefold() in first

    def reads_source(self, source: str) -> bool:
        """Whether all of it is granted."""
        return not self.restricted or any(grant.covers_source(source) for grant in self._grants())

    def administers(self) -> bool:
        return not self.restricted or any(role.administers for role in self._roles)

    def tables(self, source: str) -> list[TableName]:
        """Those of a source that may be read, as it has listed them; it is not asked where there can be none. Raises
        its error, and SchemaNotFound."""
        found = self._catalog.source(source)
        if not self.sees_source(found.name):
            return []
        return [each for each in self._catalog.tables(source) if self.reads_table(found, each)]

    def views(self) -> list[View]:
        """Those that may be read."""
        return [view for view in self._catalog.views.values() if self.reads_view(view)]

    def sees_queries_of(self, identity: str | None) -> bool:
        """Whether what somebody asks may be seen, and ended, by the caller: their own, or everybody's."""
        return self.administers() or (self.caller is not None and self.caller.identity == identity)

    def check_table(self, found: CatalogTable) -> None:
        """Raises InsufficientPrivilege."""
        if not self.reads_table(found.source, found.table.name):
            name = found.table.name
            raise self.denied("table", show_name((found.source.name, name.schema, name.name)))

    def check_view(self, view: View) -> None:
        """Raises InsufficientPrivilege."""
        if not self.reads_view(view):
            raise self.denied("view", show_name((view.schema, view.name)))

    def check_source(self, source: str) -> None:
        """For what asks a source in its own words. Raises InsufficientPrivilege unless all of it is granted."""
        if not self.reads_source(source):
            raise self.denied("source", source)

    def check_native(self, source: str) -> None:
        """What a source is asked in its own words cannot be filtered and masked. Raises InsufficientPrivilege."""
        if self.restricted and any(policy.table[0] == source for role in self._roles for policy in role.policies):
            raise InsufficientPrivilege(
                f"permission denied for a native query of {source}",
                hint="some of its tables are filtered or masked for you: name the tables instead",
            )

    def check_administration(self) -> None:
        """Raises InsufficientPrivilege."""
        if not self.administers():
            raise self.denied("what the system does", "system.*")

    def denied(self, kind: str, name: str) -> InsufficientPrivilege:
        who = self.caller.name or self.caller.identity if self.caller is not None else ""
        roles = ", ".join(role.name for role in self._roles)
        why = f"none of the roles of {who} grants it: {roles}" if roles else f"{who} has no role"
        return InsufficientPrivilege(f"permission denied for {kind} {name}", hint=why)

    def _grants(self) -> Iterator[Grant]:
        return (grant for role in self._roles for grant in role.grants)

    def _granting(self, source: Source, name: TableName) -> list[Role]:
        schema = source.adapter.default_schema
        return [
            role
            for role in self._roles
            if any(
                grant.covers(source.name, name, schema) and (grant.spells(name) or self._catalog.is_one(source, name))
                for grant in role.grants
            )
        ]

    # --- what is left of a table ------------------------------------------------------------------------------------

    def restriction(self, found: CatalogTable, alias: str, *, in_view: bool) -> Restriction | None:
        """None where the caller sees all of it; `alias` stands before its columns. Raises CatalogError where the
        policies of the source do not fit what it has: none of its tables is given then."""
        if not self.restricted:
            return None
        self._check_policies(found.source)
        granting = self._granting(found.source, found.table.name)
        own = {role.name: [policy for policy in role.policies if policy.is_of(found)] for role in self._roles}
        if not any(own.values()):
            return None
        counted = self._roles if in_view else granting
        condition = self._condition(counted, granting, own, alias)
        masked: dict[str, exp.Expr] = {}
        for role in counted:
            for policy in own[role.name]:
                column = (policy.column or "").lower()
                if column and column not in masked and all(_masks(own[each.name], column) for each in granting):
                    masked[column] = self._filled(policy, alias)
        return Restriction(condition, masked) if condition is not None or masked else None

    def _condition(
        self, counted: Iterable[Role], granting: Iterable[Role], own: Mapping[str, list[Policy]], alias: str
    ) -> exp.Expr | None:
        filters = {name: [each for each in policies if each.column is None] for name, policies in own.items()}
        if any(not filters[role.name] for role in granting):
            return None
        parts = [
            exp.and_(*(self._filled(policy, alias) for policy in filters[role.name]), copy=False)
            for role in counted
            if filters[role.name]
        ]
        return exp.or_(*parts, copy=False) if parts else None

    def _filled(self, policy: Policy, alias: str) -> exp.Expr:
        name = self.caller.name if self.caller is not None else None
        return exp.paren(filled_in(policy.expression, name, self._attributes.get, alias), copy=False)

    def _check_policies(self, source: Source) -> None:
        """A filter that is of no table would filter nothing, whatever it was meant for."""
        if source.name in self._checked:
            return
        for role in self._roles:
            for policy in role.policies:
                if policy.table[0] == source.name:
                    try:
                        find_table(self._catalog, policy)
                    except CatalogError as exc:
                        raise unfit(source.name) from exc
        self._checked.add(source.name)


def _masks(policies: Iterable[Policy], column: str) -> bool:
    return any((policy.column or "").lower() == column for policy in policies)


def find_table(catalog: Catalog, policy: Policy) -> CatalogTable:
    """The table of a policy. Raises CatalogError where there is no such table, or no such column in it."""
    try:
        found = catalog.resolve(policy.table, [True] * len(policy.table))
    except (TableNotFound, SchemaNotFound, AmbiguousTable) as exc:
        raise CatalogError(exc.message, hint=exc.hint, source=policy.table[0]) from exc
    assert isinstance(found, CatalogTable)  # its first part is a source
    if policy.column is not None:
        names = [column.name for column in found.table.columns]
        if policy.column.lower() not in {name.lower() for name in names}:
            hint = did_you_mean(nearest(policy.column, names))
            raise CatalogError(f"there is no column {policy.name}", hint=hint, source=policy.table[0])
    return found


def unfit(source: str) -> CatalogError:
    """What a caller is told: the columns of a table that is hidden are none of his business."""
    return CatalogError(
        "the policies of the source do not fit what it has",
        hint="`federation check` tells its operator what is wrong",
        source=source,
    )
