"""PostgreSQL's functions that have a counterpart: name, operands, result, and the call in DuckDB's words.

Operands are kinds; `any` is every kind, `num` a number, `int` an integer, `arr` an array, `el` what the array holds;
`...` repeats the one before it. A result may be `$1`, the kind of that operand, or `$1[]`, arrays of it. A `~` before
the result says that DuckDB has it in a wider type. A row goes on where a line is indented. Of several rows that one
wins whose operands need the fewest conversions.
"""

from __future__ import annotations

from typing import NamedTuple

_TEXT = r"""
lower | text | text | lower($1)
upper | text | text | upper($1)
length | text | ~int4 | length($1)
length | bytea | ~int4 | octet_length($1)
char_length | text | ~int4 | length($1)
character_length | text | ~int4 | length($1)
octet_length | text | ~int4 | octet_length(encode($1))
octet_length | bytea | ~int4 | octet_length($1)
bit_length | text | ~int4 | bit_length($1)
reverse | text | text | reverse($1)
repeat | text int4 | text | repeat($1, $2)
replace | text text text | text | CASE WHEN $2 = '' THEN $1 ELSE replace($1, $2, $3) END
left | text int4 | text | CASE WHEN $2 < 0 AND -$2 >= length($1) THEN '' ELSE left($1, $2) END
right | text int4 | text | CASE WHEN $2 < 0 AND -$2 >= length($1) THEN '' ELSE right($1, $2) END
strpos | text text | ~int4 | strpos($1, $2)
starts_with | text text | bool | starts_with($1, $2)
ascii | text | int4 | CASE WHEN $1 = '' THEN 0 ELSE unicode($1) END
chr | int4 | text | CASE WHEN $1 < 0 THEN error('[22023] character number must be positive')
  WHEN $1 = 0 THEN error('[54000] null character not permitted') ELSE chr($1) END
initcap | text | text | array_to_string(list_transform(
  regexp_extract_all($1, '[\p{L}\p{N}]+|[^\p{L}\p{N}]+'), lambda w: upper(w[1]) || lower(w[2:])), '')
translate | text text text | text | translate($1, $2, $3)
ltrim | text | text | ltrim($1, ' ')
ltrim | text text | text | ltrim($1, $2)
rtrim | text | text | rtrim($1, ' ')
rtrim | text text | text | rtrim($1, $2)
btrim | text | text | trim($1, ' ')
btrim | text text | text | trim($1, $2)
lpad | text int4 | text | lpad($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END, ' ')
lpad | text int4 text | text | CASE WHEN $3 = '' THEN left($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END)
  ELSE lpad($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END, $3) END
rpad | text int4 | text | rpad($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END, ' ')
rpad | text int4 text | text | CASE WHEN $3 = '' THEN left($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END)
  ELSE rpad($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END, $3) END
split_part | text text int4 | text | CASE WHEN $3 = 0 AND $1 IS NOT NULL AND $2 IS NOT NULL
  THEN error('[22023] field position must not be zero')
  WHEN $2 = '' THEN CASE WHEN $3 IN (1, -1) THEN $1 ELSE '' END ELSE split_part($1, $2, $3) END
md5 | text | text | md5($1)
md5 | bytea | text | md5($1)
sha256 | bytea | bytea | unhex(sha256($1))
encode | bytea text | text | CASE lower($2) WHEN 'hex' THEN lower(hex($1)) WHEN 'base64'
  THEN rtrim(regexp_replace(base64($1), '(.{76})', '\1' || chr(10), 'g'), chr(10))
  ELSE error('[22023] unrecognized encoding: "' || $2 || '"') END
decode | text text | bytea | CASE lower($2) WHEN 'hex' THEN unhex($1) WHEN 'base64' THEN from_base64($1)
  ELSE error('[22023] unrecognized encoding: "' || $2 || '"') END
to_hex | int4 | text | lower(printf('%x', CASE WHEN $1 < 0 THEN $1 + 4294967296 ELSE CAST($1 AS BIGINT) END))
to_hex | int8 | text | lower(printf('%x', $1))
quote_ident | text | text | CASE WHEN regexp_full_match($1, '[a-z_][a-z0-9_]*') THEN $1 ELSE '"'
  || replace($1, '"', '""') || '"' END
quote_literal | text | text | CASE WHEN contains($1, '\') THEN 'E'''
  || replace(replace($1, '\', '\\'), '''', '''''') || '''' ELSE '''' || replace($1, '''', '''''') || '''' END
quote_nullable | text | text | CASE WHEN $1 IS NULL THEN 'NULL' ELSE '''' || replace($1, '''', '''''') || '''' END
string_to_array | text text | text[] | CASE WHEN $1 IS NULL THEN NULL WHEN $1 = '' THEN CAST([] AS VARCHAR[])
  WHEN $2 = '' THEN [$1] WHEN $2 IS NULL THEN string_split($1, '') ELSE string_split($1, $2) END
string_to_array | text text text | text[] | list_transform(CASE WHEN $1 IS NULL THEN NULL WHEN $1 = ''
  THEN CAST([] AS VARCHAR[]) WHEN $2 = '' THEN [$1] WHEN $2 IS NULL THEN string_split($1, '')
  ELSE string_split($1, $2) END, lambda v: nullif(v, $3))
array_to_string | text[] text | text | CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL
  THEN coalesce(array_to_string($1, $2), '') END
array_to_string | text[] text text | text | CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL
  THEN coalesce(array_to_string(list_transform($1, lambda v: coalesce(v, $3)), $2), '') END
gen_random_uuid |  | uuid | uuid()
"""

_NUMBERS = r"""
abs | num | $1 | abs($1)
ceil | float8 | float8 | ceil($1)
ceil | numeric | numeric0 | ceil($1)
ceiling | float8 | float8 | ceil($1)
ceiling | numeric | numeric0 | ceil($1)
floor | float8 | float8 | floor($1)
floor | numeric | numeric0 | floor($1)
round | float8 | float8 | round_even($1, 0)
round | numeric | numeric0 | round($1)
trunc | float8 | float8 | trunc($1)
trunc | numeric | numeric0 | trunc($1)
sign | float8 | float8 | CASE WHEN isnan($1) THEN $1 ELSE CAST(sign($1) AS DOUBLE) END
sign | numeric | numeric0 | CAST(sign($1) AS DECIMAL(1, 0))
sqrt | float8 | float8 | CASE WHEN $1 < 0 THEN error('[2201F] cannot take square root of a negative number')
  ELSE sqrt($1) END
sqrt | numeric | numeric16 | CASE WHEN $1 < 0 THEN error('[2201F] cannot take square root of a negative number') ELSE
  CAST(sqrt(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16)) END
cbrt | float8 | float8 | cbrt($1)
exp | float8 | float8 | exp($1)
exp | numeric | numeric16 | CAST(exp(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16))
ln | float8 | float8 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number') ELSE ln($1) END
ln | numeric | numeric16 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number')
  ELSE CAST(ln(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16)) END
log | float8 | float8 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number') ELSE log10($1) END
log | numeric | numeric16 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number') ELSE
  CAST(log10(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16)) END
log10 | float8 | float8 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number') ELSE log10($1) END
log10 | numeric | numeric16 | CASE WHEN $1 = 0 THEN error('[2201E] cannot take logarithm of zero') WHEN $1 < 0
  THEN error('[2201E] cannot take logarithm of a negative number') ELSE
  CAST(log10(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16)) END
log | numeric numeric | numeric16 | CASE WHEN $1 <= 0 OR $2 <= 0 THEN error('[2201E] cannot take logarithm of zero')
  ELSE CAST(ln(CAST($2 AS DOUBLE)) / ln(CAST($1 AS DOUBLE)) AS DECIMAL(38, 16)) END
pi |  | float8 | pi()
degrees | float8 | float8 | degrees($1)
radians | float8 | float8 | radians($1)
sin | float8 | float8 | sin($1)
cos | float8 | float8 | cos($1)
tan | float8 | float8 | tan($1)
cot | float8 | float8 | cot($1)
asin | float8 | float8 | CASE WHEN abs($1) > 1 THEN error('[22003] input is out of range') ELSE asin($1) END
acos | float8 | float8 | CASE WHEN abs($1) > 1 THEN error('[22003] input is out of range') ELSE acos($1) END
atan | float8 | float8 | atan($1)
atan2 | float8 float8 | float8 | atan2($1, $2)
sinh | float8 | float8 | sinh($1)
cosh | float8 | float8 | cosh($1)
tanh | float8 | float8 | tanh($1)
gcd | int4 int4 | ~int4 | gcd($1, $2)
gcd | int8 int8 | int8 | gcd($1, $2)
lcm | int4 int4 | ~int4 | lcm($1, $2)
lcm | int8 int8 | int8 | lcm($1, $2)
factorial | int8 | ~numeric0 | CASE WHEN $1 < 0 THEN error('[22003] factorial of a negative number is undefined')
  ELSE factorial(CAST($1 AS INTEGER)) END
random |  | float8 | random()
width_bucket | float8 float8 float8 int4 | ~int4 | CASE WHEN $4 <= 0 OR $2 = $3
  THEN error('[2201G] count must be greater than zero, and the bounds differ') WHEN $2 < $3 THEN CASE WHEN $1 < $2
  THEN 0 WHEN $1 >= $3 THEN $4 + 1 ELSE CAST(floor(($1 - $2) * $4 / ($3 - $2)) AS INTEGER) + 1
  END WHEN $1 > $2 THEN 0 WHEN $1 <= $3 THEN $4 + 1 ELSE CAST(floor(($2 - $1) * $4 / ($2 - $3)) AS INTEGER) + 1 END
"""

_TIMES = r"""
isfinite | date | bool | isfinite($1)
isfinite | timestamp | bool | isfinite($1)
isfinite | timestamptz | bool | isfinite($1)
make_date | int4 int4 int4 | date | make_date($1, $2, $3)
make_time | int4 int4 float8 | time | make_time($1, $2, $3)
make_timestamp | int4 int4 int4 int4 int4 float8 | timestamp | make_timestamp($1, $2, $3, $4, $5, $6)
to_timestamp | float8 | timestamptz | to_timestamp($1)
now |  | timestamptz | now()
transaction_timestamp |  | timestamptz | now()
statement_timestamp |  | timestamptz | now()
clock_timestamp |  | timestamptz | now()
age | timestamp timestamp | interval | age($1, $2)
justify_days | interval | interval | to_months(CAST((date_part('year', $1) * 12 + date_part('month', $1)
  + date_part('day', $1) // 30) AS INTEGER)) + to_days(CAST(date_part('day', $1) % 30 AS INTEGER))
  + to_microseconds(CAST(date_part('hour', $1) * 3600000000 + date_part('minute', $1) * 60000000
  + date_part('microsecond', $1) AS BIGINT))
date_bin | interval timestamp timestamp | timestamp | time_bucket($1, $2, $3)
"""

_ARRAYS = r"""
cardinality | arr | ~int4 | len($1)
array_length | arr int4 | ~int4 | CASE WHEN $2 = 1 THEN nullif(len($1), 0) WHEN $2 > 1 THEN NULL END
array_upper | arr int4 | ~int4 | CASE WHEN $2 = 1 THEN nullif(len($1), 0) END
array_lower | arr int4 | int4 | CASE WHEN $2 = 1 AND len($1) > 0 THEN 1 END
array_ndims | arr | int4 | CASE WHEN len($1) > 0 THEN 1 END
array_append | arr el | $1 | list_append(coalesce($1, []), $2)
array_prepend | el arr | $2 | list_prepend($1, coalesce($2, []))
array_cat | arr arr | $1 | CASE WHEN $1 IS NOT NULL OR $2 IS NOT NULL THEN list_concat($1, $2) END
array_position | arr el | ~int4 | CASE WHEN $1 IS NOT NULL THEN CASE WHEN $2 IS NULL
  THEN list_position(list_transform($1, lambda v: v IS NULL), true) ELSE list_position($1, $2) END END
array_remove | arr el | $1 | list_filter($1, lambda v: v IS DISTINCT FROM $2)
array_replace | arr el el | $1 | list_transform($1, lambda v: CASE WHEN v IS NOT DISTINCT FROM $2 THEN $3 ELSE v END)
trim_array | arr int4 | $1 | CASE WHEN $2 NOT BETWEEN 0 AND len($1)
  THEN error('[2202E] number of elements to trim must be between 0 and ' || len($1))
  ELSE list_slice($1, 1, len($1) - $2) END
"""

_JSON = r"""
to_json | any | json | to_json($1)
to_jsonb | any | jsonb | to_json($1)
row_to_json | record | json | to_json($1)
array_to_json | arr | json | to_json($1)
json_build_array | any... | json | json_array($*)
jsonb_build_array | any... | jsonb | json_array($*)
json_array_length | json | ~int4 | CASE WHEN json_type($1) <> 'ARRAY'
  THEN error('[22023] cannot get array length of a non-array') ELSE json_array_length($1) END
jsonb_array_length | jsonb | ~int4 | CASE WHEN json_type($1) <> 'ARRAY'
  THEN error('[22023] cannot get array length of a non-array') ELSE json_array_length($1) END
json_typeof | json | text | CASE json_type($1) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array'
  WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN NULL THEN NULL ELSE
  CASE WHEN $1 IS NOT NULL THEN 'number' END END
jsonb_typeof | jsonb | text | CASE json_type($1) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array'
  WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE CASE
  WHEN $1 IS NOT NULL THEN 'number' END END
"""

_AGGREGATES = r"""
sum | int2 | ~int8 | sum($1)
sum | int4 | ~int8 | sum($1)
sum | int8 | huge | sum($1)
sum | numeric | numericS | sum($1)
sum | float4 | ~float4 | sum($1)
sum | float8 | float8 | sum($1)
sum | interval | interval | to_months(CAST(sum(date_part('year', $1) * 12 + date_part('month', $1)) AS INTEGER))
  + to_days(CAST(sum(date_part('day', $1)) AS INTEGER)) + to_microseconds(CAST(sum(date_part('hour', $1) * 3600000000
  + date_part('minute', $1) * 60000000 + date_part('microsecond', $1)) AS BIGINT))
avg | float4 | float8 | avg(CAST($1 AS DOUBLE))
avg | float8 | float8 | avg($1)
min | any | $1 | min($1)
max | any | $1 | max($1)
bool_and | bool | bool | bool_and($1)
bool_or | bool | bool | bool_or($1)
every | bool | bool | bool_and($1)
bit_and | int2 | int2 | bit_and($1)
bit_and | int4 | int4 | bit_and($1)
bit_and | int8 | int8 | bit_and($1)
bit_or | int2 | int2 | bit_or($1)
bit_or | int4 | int4 | bit_or($1)
bit_or | int8 | int8 | bit_or($1)
bit_xor | int2 | int2 | bit_xor($1)
bit_xor | int4 | int4 | bit_xor($1)
bit_xor | int8 | int8 | bit_xor($1)
string_agg | text text | text | string_agg($1, $2)
array_agg | any | $1[] | list($1)
json_agg | any | json | to_json(list($1))
jsonb_agg | any | jsonb | to_json(list($1))
json_object_agg | text any | json | to_json(map_from_entries(list(struct_pack(k := $1, v := $2))))
jsonb_object_agg | text any | jsonb | to_json(map_from_entries(list(struct_pack(k := $1, v := $2))))
stddev | float8 | float8 | stddev_samp($1)
stddev | int | ~numeric16 | stddev_samp($1)
stddev | numeric | ~numeric16 | stddev_samp($1)
stddev_samp | float8 | float8 | stddev_samp($1)
stddev_samp | int | ~numeric16 | stddev_samp($1)
stddev_samp | numeric | ~numeric16 | stddev_samp($1)
stddev_pop | float8 | float8 | stddev_pop($1)
stddev_pop | int | ~numeric16 | stddev_pop($1)
stddev_pop | numeric | ~numeric16 | stddev_pop($1)
variance | float8 | float8 | var_samp($1)
variance | int | ~numeric16 | var_samp($1)
variance | numeric | ~numeric16 | var_samp($1)
var_samp | float8 | float8 | var_samp($1)
var_samp | int | ~numeric16 | var_samp($1)
var_samp | numeric | ~numeric16 | var_samp($1)
var_pop | float8 | float8 | var_pop($1)
var_pop | int | ~numeric16 | var_pop($1)
var_pop | numeric | ~numeric16 | var_pop($1)
corr | float8 float8 | float8 | nullif(corr($1, $2), 'nan')
covar_pop | float8 float8 | float8 | covar_pop($1, $2)
covar_samp | float8 float8 | float8 | covar_samp($1, $2)
regr_slope | float8 float8 | float8 | nullif(regr_slope($1, $2), 'nan')
regr_intercept | float8 float8 | float8 | nullif(regr_intercept($1, $2), 'nan')
regr_r2 | float8 float8 | float8 | nullif(regr_r2($1, $2), 'nan')
regr_count | float8 float8 | ~int8 | regr_count($1, $2)
regr_avgx | float8 float8 | float8 | regr_avgx($1, $2)
regr_avgy | float8 float8 | float8 | regr_avgy($1, $2)
"""

_WINDOWS = r"""
row_number |  | int8 | row_number()
rank |  | int8 | rank()
dense_rank |  | int8 | dense_rank()
percent_rank |  | float8 | percent_rank()
cume_dist |  | float8 | cume_dist()
ntile | int4 | ~int4 | ntile($1)
lag | any | $1 | lag($1)
lag | any int4 | $1 | lag($1, $2)
lag | any int4 el | $1 | lag($1, $2, $3)
lead | any | $1 | lead($1)
lead | any int4 | $1 | lead($1, $2)
lead | any int4 el | $1 | lead($1, $2, $3)
first_value | any | $1 | first_value($1)
last_value | any | $1 | last_value($1)
nth_value | any int4 | $1 | nth_value($1, $2)
"""


class Signature(NamedTuple):
    """One row. `variadic`: the last operand may come any number of times."""

    operands: tuple[str, ...]
    variadic: bool
    result: str
    loose: bool
    template: str


def _read(*texts: str) -> dict[str, list[Signature]]:
    table: dict[str, list[Signature]] = {}
    for line in (each for text in texts for each in text.strip().replace("\n  ", " ").splitlines()):
        name, operands, result, template = (part.strip() for part in line.split(" | ", 3))
        words = operands.split()
        variadic = bool(words) and words[-1].endswith("...")
        kinds = tuple(word.removesuffix("...") for word in words)
        made = Signature(kinds, variadic, result.lstrip("~"), result.startswith("~"), template)
        table.setdefault(name, []).append(made)
    return table


SCALARS = _read(_TEXT, _NUMBERS, _TIMES, _ARRAYS, _JSON)
AGGREGATES = _read(_AGGREGATES)
WINDOWS = _read(_WINDOWS)
