"""DuckDB's SQL, where it is not what SQLAlchemy writes for every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql import compiler
from sqlalchemy.sql.sqltypes import STRINGTYPE


class FederationIdentifiers(compiler.IdentifierPreparer):
    """Every name is quoted: names are matched whatever their case, and no list of keywords can be out of date."""

    def _requires_quotes(self, value: str) -> bool:  # noqa: ARG002 -- SQLAlchemy's
        return True


class FederationCompiler(compiler.SQLCompiler):
    def limit_clause(self, select: Any, **kw: Any) -> str:
        """SQLAlchemy would write LIMIT -1 for an offset alone."""
        text = ""
        if select._limit_clause is not None:
            text += f"\n LIMIT {self.process(select._limit_clause, **kw)}"
        if select._offset_clause is not None:
            text += f"\n OFFSET {self.process(select._offset_clause, **kw)}"
        return text

    def for_update_clause(self, select: Any, **kw: Any) -> str:  # noqa: ARG002
        """Nothing is written, so nothing has to be locked."""
        return ""

    def visit_bitwise_xor_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002
        """`^` is a power."""
        return f"xor({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002
        return f"regexp_matches({self._regexp(binary, binary.right, **kw)})"

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return f"NOT {self.visit_regexp_match_op_binary(binary, operator, **kw)}"

    def visit_regexp_replace_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002
        return f"regexp_replace({self._regexp(binary, binary.right, **kw)})"

    def visit_aggregate_strings_func(self, fn: Any, **kw: Any) -> str:
        text: str = super().visit_aggregate_strings_func(  # type: ignore[no-untyped-call]
            fn, use_function_name="string_agg", **kw
        )
        return text

    def visit_empty_set_expr(self, element_types: Any, **kw: Any) -> str:  # noqa: ARG002
        """What IN () means."""
        types = [self.dialect.type_compiler_instance.process(each) for each in element_types]
        return f"SELECT {', '.join(f'CAST(NULL AS {each})' for each in types)} WHERE false"

    def visit_try_cast(self, cast: Any, **kw: Any) -> str:
        return f"TRY_CAST({self.process(cast.clause, **kw)} AS {self.process(cast.typeclause, **kw)})"

    def _regexp(self, binary: Any, right: Any, **kw: Any) -> str:
        parts = [self.process(binary.left, **kw), self.process(right, **kw)]
        flags = binary.modifiers["flags"]
        if flags is not None:
            parts.append(self.render_literal_value(flags, STRINGTYPE))
        return ", ".join(parts)


class FederationTypes(compiler.GenericTypeCompiler):
    def visit_float(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002
        """A Python float has eight bytes, DuckDB's FLOAT four."""
        return "DOUBLE"

    def visit_NUMERIC(self, type_: Any, **kw: Any) -> str:  # noqa: N802, ARG002
        return self._decimal(type_)

    def visit_DECIMAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802, ARG002
        return self._decimal(type_)

    def visit_datetime(self, type_: Any, **kw: Any) -> str:
        return self.visit_TIMESTAMP(type_, **kw)

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return self.visit_TIMESTAMP(type_, **kw)

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:  # noqa: N802, ARG002
        return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802, ARG002
        return "TIME WITH TIME ZONE" if type_.timezone else "TIME"

    def visit_ARRAY(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return self.process(type_.item_type, **kw) + "[]" * (type_.dimensions or 1)

    def visit_JSON(self, type_: Any, **kw: Any) -> str:  # noqa: N802, ARG002
        return "JSON"

    def visit_whole_number(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002
        name: str = type_.name
        return name

    def _decimal(self, type_: Any) -> str:
        """Without a precision, DuckDB would round to three places."""
        if type_.precision is None:
            return "DECIMAL(38, 10)"
        return f"DECIMAL({type_.precision}, {type_.scale or 0})"
