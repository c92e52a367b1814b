"""Who asks, as the catalog's functions know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from federation.pgwire.overlay.visibility import Visibility


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What `current_user`, `current_setting` and the search path of a session say. An empty `search_path` is that of
    the catalog. The `key` is how the session is known to `sessions.Sessions`."""

    user: str = "federation"
    database: str = "federation"
    search_path: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    key: str = ""
    server_version: str = "15.0"

    def as_value(self, shown: Visibility, generation: int, guest: bool) -> str:
        """The struct that macros and views read, as DuckDB writes it. A guest is no user of the catalog file."""
        settings = {
            "search_path": ", ".join(f'"{each}"' if not each.isidentifier() else each for each in shown.schemas),
            "is_superuser": "off",
            "session_authorization": self.user,
            **{name.lower(): str(value) for name, value in self.settings.items()},
        }
        value = exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier(name), expression=each)
                for name, each in {
                    "user": _text(self.user),
                    "database": _text(self.database),
                    "schemas": _texts(shown.schemas),
                    "implicit": exp.convert(shown.implicit),
                    "numbers": _numbers(shown.numbers),
                    "hidden": _numbers(shown.hidden),
                    "shared": _numbers(shown.shared),
                    "guest": exp.convert(guest),
                    "names": _texts(list(settings)),
                    "settings": _texts(list(settings.values())),
                    "pid": exp.convert(self.pid),
                    "key": _text(self.key),
                    "version": _text(f"PostgreSQL {self.server_version} (Federation)"),
                    "generation": exp.convert(generation),
                }.items()
            ]
        )
        return value.sql("duckdb")


def _text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def _numbers(values: Sequence[int]) -> exp.Expr:
    return exp.cast(exp.Array(expressions=[exp.convert(value) for value in values]), "UINTEGER[]", dialect="duckdb")


def _texts(values: Sequence[str]) -> exp.Expr:
    return exp.cast(exp.Array(expressions=[_text(value) for value in values]), "VARCHAR[]", dialect="duckdb")
