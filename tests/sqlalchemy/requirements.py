"""What the dialect claims of SQLAlchemy's own suite, and what it does not.

A read-only dialect claims no writes: those of the suite only prepare what is read, see `written`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

CLAIMED = [
    "binary_literals",
    "comment_reflection",
    "comment_reflection_full_unicode",
    "ctes",
    "datetime_timezone",
    "except_",
    "fetch_first",
    "fetch_no_order_by",
    "fetch_offset_with_options",
    "infinity_floats",
    "intersect",
    "like_escapes",
    "nullsordering",
    "order_by_col_from_union",
    "precision_generic_float_type",
    "precision_numerics_many_significant_digits",
    "precision_numerics_retains_significant_digits",
    "regexp_match",
    "regexp_replace",
    "standalone_null_binds_whereclause",
    "supports_bitwise_and",
    "supports_bitwise_not",
    "supports_bitwise_or",
    "supports_bitwise_shift",
    "supports_bitwise_xor",
    "supports_distinct_on",
    "supports_is_distinct_from",
    "table_value_constructor",
    "tuple_in",
    "tuple_in_w_empty",
    "unicode_ddl",
    "uuid_data_type",
    "window_functions",
]
NOT_CLAIMED = {
    "views": "those of a source are its tables, those of the catalog file are not created by statements",
    "foreign_key_constraint_name_reflection": "keys have no names in the catalog",
    "reflects_pk_names": "keys have no names in the catalog",
    "view_reflection": "as views",
    "view_column_reflection": "as views",
    "fetch_expression": "FETCH takes a number",
    "foreign_key_constraint_reflection": "the catalog has no names of them: see test_dialect",
    "schemas": "the suite would create them; test_dialect reflects those that are there",
    "autoincrement_insert": "nothing is inserted",
    "check_constraint_reflection": "sources know more of them than the catalog tells",
    "index_reflection": "indexes are the sources' own",
    "insert_from_select": "nothing is inserted",
    "insert_returning": "nothing is inserted",
    "delete_returning": "nothing is deleted",
    "update_returning": "nothing is updated",
    "reflect_indexes_with_expressions": "indexes are the sources' own",
    "temp_table_reflection": "there are no temporary tables",
    "temporary_tables": "there are no temporary tables",
    "unique_constraint_reflection": "the catalog has primary and foreign keys only",
    "unique_index_reflect_as_unique_constraints": "indexes are the sources' own",
}


class Requirements(SuiteRequirements):
    """Each name is a property in SQLAlchemy's requirements."""


_rules: Any = exclusions  # which has no types
for _name in CLAIMED:
    setattr(Requirements, _name, property(lambda _: _rules.open()))
for _name in NOT_CLAIMED:
    setattr(Requirements, _name, property(lambda _: _rules.closed()))
