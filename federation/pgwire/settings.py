"""What SET, SHOW and RESET know: the parameters of a session, their checks and defaults.

Clients set many of PostgreSQL's parameters that mean nothing here. Those are kept, checked and shown, and that is all;
an unknown name is an error, except with a dot in it, as in PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapters.errors import NotSupportedError, ProgrammingError
from federation.pgwire.encoding.time_zones import find_zone

SERVER_VERSION = "15.8"
SERVER_VERSION_NUMBER = "150008"


class UnknownSetting(ProgrammingError, sqlstate="42704"):
    """No parameter has that name."""


class InvalidSetting(ProgrammingError, sqlstate="22023"):
    """A parameter cannot have that value."""


class FixedSetting(ProgrammingError, sqlstate="55P02"):
    """A parameter that cannot be changed."""


Check = Callable[[str, str], str]  # name, value -> the value as it is kept; raises


@dataclass(frozen=True, slots=True)
class Setting:
    """`name` as SHOW spells it; `reported`: clients are told of each change."""

    name: str
    default: str
    check: Check
    reported: bool = False


def _invalid(name: str, value: str, hint: str | None = None) -> InvalidSetting:
    return InvalidSetting(f'invalid value for parameter "{name}": "{value}"', hint=hint)


def _text(_: str, value: str) -> str:
    return value


def _fixed(name: str, _: str) -> str:
    raise FixedSetting(f'parameter "{name}" cannot be changed')


def _boolean(name: str, value: str) -> str:
    word = value.strip().lower()
    if word:
        if word in ("on", "1") or any(each.startswith(word) for each in ("true", "yes")):
            return "on"
        if word in ("off", "of", "0") or any(each.startswith(word) for each in ("false", "no")):
            return "off"
    raise InvalidSetting(f'parameter "{name}" requires a Boolean value')


def _number(low: float, high: float) -> Check:
    def check(name: str, value: str) -> str:
        if not re.fullmatch(r"\s*[+-]?\d{1,18}(\.\d+)?\s*", value):
            raise _invalid(name, value)
        if not low <= float(value) <= high:
            raise InvalidSetting(f'{value} is outside the valid range for parameter "{name}" ({low:g} .. {high:g})')
        return f"{float(value):.15g}"

    return check


ANY_AGE = "any"  # of max_staleness: as the catalog says
_MILLISECONDS = {"": 1, "us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _duration(name: str, value: str) -> str:
    """As PostgreSQL shows it: in the largest unit that gives a whole number."""
    found = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([a-z]*)\s*", value)
    if found is None or found[2] not in _MILLISECONDS:
        raise _invalid(name, value, 'valid units are "us", "ms", "s", "min", "h" and "d"')
    milliseconds = round(float(found[1]) * _MILLISECONDS[found[2]])
    if milliseconds >= 1 << 31:
        raise InvalidSetting(f'{value} is outside the valid range for parameter "{name}" (0 ms .. 2147483647 ms)')
    for unit in ("d", "h", "min", "s", "ms"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // int(_MILLISECONDS[unit])}{unit}"
    return "0"


def _staleness(name: str, value: str) -> str:
    """Without a unit in seconds, as everywhere else where it is asked for."""
    text = value.strip().lower()
    if text in (ANY_AGE, "-1"):
        return ANY_AGE
    return _duration(name, f"{text}s" if re.fullmatch(r"\d+(\.\d+)?", text) else text)


def _one_of(*values: str) -> Check:
    def check(name: str, value: str) -> str:
        if value.strip().lower() not in values:
            raise _invalid(name, value, f"available values: {', '.join(values)}")
        return value.strip().lower()

    return check


def _encoding(name: str, value: str) -> str:
    if value.strip().lower().replace("-", "").replace("_", "") not in ("utf8", "unicode"):
        raise NotSupportedError(f'the encoding "{value}" is not supported', hint=f"{name} is UTF8")
    return "UTF8"


def _zone(_: str, value: str) -> str:
    """A number is hours east of UTC, where the sign of PostgreSQL's own names of zones says how far west."""
    text = value.strip()
    hours = re.fullmatch(r"([+-]?)(\d{1,2})", text)
    if hours is not None and int(hours[2]):
        signs = "-+" if hours[1] == "-" else "+-"
        return f"<{signs[0]}{int(hours[2]):02}>{signs[1]}{int(hours[2]):02}"
    if hours is not None or text.lower() in ("utc", "gmt", "z", "zulu"):
        return "UTC"
    find_zone(text)
    return text


_ORDERS = {"mdy": "MDY", "us": "MDY", "noneuro": "MDY", "dmy": "DMY", "euro": "DMY", "ymd": "YMD"}


def _date_style(name: str, value: str) -> str:
    order = "MDY"
    for word in (each.strip().lower() for each in value.split(",")):
        if word in ("postgres", "sql", "german"):
            raise NotSupportedError(f"{name} {word} is not supported", hint="dates are written as ISO")
        if word in _ORDERS:
            order = _ORDERS[word]
        elif word not in ("iso", "default"):
            raise _invalid(name, value)
    return f"ISO, {order}"


def _on_only(name: str, value: str) -> str:
    if _boolean(name, value) != "on":
        raise NotSupportedError(f"{name} is always on")
    return "on"


def _isolation(name: str, value: str) -> str:
    return _one_of("read uncommitted", "read committed", "repeatable read", "serializable")(name, value)


_ISOLATION = "read committed"
_DEFAULT_MODE = "default_transaction_"
_LEVELS = _one_of("debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error")
_INTERVAL_STYLES = _one_of("postgres", "postgres_verbose", "sql_standard", "iso_8601")
_KNOWN = (
    Setting("application_name", "", _text, reported=True),
    Setting("backslash_quote", "safe_encoding", _one_of("safe_encoding", "on", "off")),
    Setting("bytea_output", "hex", _one_of("hex", "escape")),
    Setting("check_function_bodies", "on", _boolean),
    Setting("client_encoding", "UTF8", _encoding, reported=True),
    Setting("client_min_messages", "notice", _LEVELS),
    Setting("cursor_tuple_fraction", "0.1", _number(0, 1)),
    Setting("DateStyle", "ISO, MDY", _date_style, reported=True),
    Setting("default_tablespace", "", _text),
    Setting("default_table_access_method", "heap", _text),
    Setting("default_text_search_config", "pg_catalog.simple", _text),
    Setting("default_transaction_deferrable", "off", _boolean),
    Setting("default_transaction_isolation", _ISOLATION, _isolation),
    Setting("default_transaction_read_only", "on", _boolean, reported=True),
    Setting("dialect", "postgres", _one_of("postgres", "duckdb")),
    Setting("escape_string_warning", "on", _boolean),
    Setting("extra_float_digits", "1", _number(-15, 3)),
    Setting("geqo", "on", _boolean),
    Setting("idle_in_transaction_session_timeout", "0", _duration),
    Setting("idle_session_timeout", "0", _duration),
    Setting("in_hot_standby", "off", _fixed, reported=True),
    Setting("integer_datetimes", "on", _fixed, reported=True),
    Setting(
        "IntervalStyle", "postgres", _one_of("postgres", "postgres_verbose", "sql_standard", "iso_8601"), reported=True
    ),
    Setting("is_superuser", "off", _fixed, reported=True),
    Setting("jit", "off", _boolean),
    Setting("lc_collate", "C", _fixed),
    Setting("lc_ctype", "C.UTF-8", _fixed),
    Setting("lc_messages", "C", _text),
    Setting("lc_monetary", "C", _text),
    Setting("lc_numeric", "C", _text),
    Setting("lc_time", "C", _text),
    Setting("lock_timeout", "0", _duration),
    Setting("max_identifier_length", "63", _fixed),
    Setting("max_index_keys", "32", _fixed),
    Setting("max_staleness", ANY_AGE, _staleness),
    Setting("max_parallel_workers_per_gather", "0", _number(0, 1024)),
    Setting("no_cache", "off", _boolean),
    Setting("quote_all_identifiers", "off", _boolean),
    Setting("role", "none", _one_of("none")),
    Setting("row_security", "on", _boolean),
    Setting("search_path", '"$user", public', _text),
    Setting("seed", "unavailable", _text),
    Setting("server_encoding", "UTF8", _fixed, reported=True),
    Setting("server_version", SERVER_VERSION, _fixed, reported=True),
    Setting("server_version_num", SERVER_VERSION_NUMBER, _fixed),
    Setting("session_authorization", "", _fixed, reported=True),
    Setting("session_replication_role", "origin", _one_of("origin")),
    Setting("ssl", "off", _fixed),
    Setting("standard_conforming_strings", "on", _on_only, reported=True),
    Setting("statement_timeout", "0", _duration),
    Setting("synchronous_commit", "on", _text),
    Setting("synchronize_seqscans", "on", _boolean),
    Setting("temp_buffers", "8MB", _text),
    Setting("TimeZone", "UTC", _zone, reported=True),
    Setting("transaction_deferrable", "off", _boolean),
    Setting("transaction_isolation", _ISOLATION, _isolation),
    Setting("transaction_read_only", "on", _boolean),
    Setting("work_mem", "4MB", _text),
    Setting("xmloption", "content", _one_of("content", "document")),
    *(
        Setting(f"enable_{each}", "on", _boolean)
        for each in ("bitmapscan", "hashagg", "hashjoin", "indexscan", "material", "mergejoin", "nestloop")
    ),
    *(Setting(f"enable_{each}", "on", _boolean) for each in ("partition_pruning", "seqscan", "sort", "tidscan")),
)
SETTINGS: Mapping[str, Setting] = {each.name.lower(): each for each in _KNOWN}
REPORTED = tuple(name for name, each in SETTINGS.items() if each.reported)
_LISTS = ("datestyle", "search_path")


def text_of(name: str, values: Sequence[str]) -> str:
    """What the values of a SET are together. Raises InvalidSetting for several where there is but one."""
    if len(values) == 1:
        return values[0]
    if name not in _LISTS:
        raise InvalidSetting(f"SET {name} takes only one argument")
    return ", ".join(values)


def milliseconds(text: str) -> int:
    """Of a duration, as it is kept."""
    found = re.fullmatch(r"(\d+)([a-z]*)", text)
    assert found is not None
    return int(found[1]) * int(_MILLISECONDS[found[2]])


class Settings:
    """The values of one session, and what a transaction makes of them: ROLLBACK undoes SET, the end undoes SET LOCAL.

    `given` are the session's own defaults, to which RESET returns: what it said when it connected.
    """

    def __init__(self, given: Mapping[str, str], fixed: Mapping[str, str]) -> None:
        self._defaults = {name: each.default for name, each in SETTINGS.items()}
        self._defaults.update(fixed)
        for name, value in given.items():
            self._defaults[name.lower()] = checked = self._checked(name, value)
            if name.lower().startswith(_DEFAULT_MODE):
                self._defaults[name.lower().removeprefix("default_")] = checked
        self._now = dict(self._defaults)
        self._session = self._now  # without what is local to the transaction
        self._marks: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def __getitem__(self, name: str) -> str:
        """By the name in lower case. Raises UnknownSetting."""
        try:
            return self._now[name]
        except KeyError:
            raise _unknown(name) from None

    def values(self) -> Mapping[str, str]:
        return self._now

    def rows(self) -> Iterator[tuple[str, str]]:
        """As SHOW ALL has them."""
        return ((SETTINGS[name].name, self._now[name]) for name in sorted(SETTINGS))

    def set(self, name: str, value: str | None, *, local: bool = False) -> None:
        """None is the default. Raises UnknownSetting, InvalidSetting, FixedSetting, NotSupportedError."""
        key = name.lower()
        if value is None:
            self._known(key)
            kept = self._defaults.get(key, "")
        else:
            kept = self._checked(name, value)
        self._now = {**self._now, key: kept}
        if not local:
            self._session = {**self._session, key: kept}
            if key.startswith(_DEFAULT_MODE):
                self._follow(key, kept)

    def _follow(self, default: str, value: str) -> None:
        """A transaction has the default modes of when it began; what stands alone is a transaction of its own."""
        mode = default.removeprefix("default_")
        self._session = {**self._session, mode: value}
        if not self._marks:
            self._now = self._session

    def reset_all(self) -> None:
        self._now = self._session = dict(self._defaults)

    def _known(self, key: str) -> None:
        if key not in SETTINGS and "." not in key:
            raise _unknown(key)

    def _checked(self, name: str, value: str) -> str:
        self._known(name.lower())
        setting = SETTINGS.get(name.lower())
        return setting.check(setting.name, value) if setting is not None else value

    # --- transactions -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._marks = [("", self._now, self._session)]

    def savepoint(self, name: str) -> None:
        self._marks.append((name, self._now, self._session))

    def rollback_to(self, index: int) -> None:
        """To the savepoint of that number, 1 being the first; it stays."""
        _, self._now, self._session = self._marks[index]
        del self._marks[index + 1 :]

    def commit(self) -> None:
        self._now = self._session
        self._marks = []

    def rollback(self) -> None:
        if self._marks:
            _, self._now, self._session = self._marks[0]
        self._now = self._session
        self._marks = []

    def savepoints(self) -> list[str]:
        """Their names, the first at index 1."""
        return [name for name, _, _ in self._marks]

    def release(self, index: int) -> None:
        del self._marks[index:]


def _unknown(name: str) -> UnknownSetting:
    return UnknownSetting(f'unrecognized configuration parameter "{name}"')
