"""The words that the prompt completes beside names."""

from __future__ import annotations

_KEYWORDS = """
ALL AND ANY ARRAY AS ASC ASOF BETWEEN BY CASE CAST CROSS CURRENT_DATE CURRENT_TIMESTAMP DATE DESC DISTINCT ELSE
END EXCEPT EXISTS EXPLAIN FALSE FILTER FIRST FOLLOWING FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL IS
JOIN LAST LATERAL LEFT LIKE LIMIT NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PRECEDING QUALIFY
RECURSIVE RIGHT ROW ROWS SELECT SEMI SIMILAR THEN TIMESTAMP TO TRUE UNBOUNDED UNION USING VALUES WHEN WHERE WINDOW
WITH
"""
_FUNCTIONS = """
abs array_agg avg ceil coalesce concat concat_ws contains count count_if current_date date_diff date_part
date_trunc dense_rank extract first_value floor generate_series greatest json_extract lag last_value lead least
length list lower lpad ltrim max median min now ntile nullif percent_rank power quantile_cont range rank
regexp_extract regexp_matches regexp_replace replace reverse round row_number rpad rtrim split_part sqrt starts_with
stddev strftime string_agg strpos strptime substring sum trim try_cast unnest upper variance year
"""
# Words that may follow a table and are not its alias.
_NOT_ALIAS = """
cross full group having inner join left limit natural offset on order right union using where window
"""

KEYWORDS = tuple(_KEYWORDS.split())
FUNCTIONS = tuple(_FUNCTIONS.split())
NOT_ALIAS = frozenset(_NOT_ALIAS.split())
