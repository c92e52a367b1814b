"""What the catalog file says about a REST source: the models of [sources.x] and its tables, checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from adapters.errors import CatalogError
from adapters.rest_json import JsonPath, parse_path, parse_type

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_HEADER_NAME = re.compile(r"[\w-]+", re.ASCII)
_HEADER_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def _as_seconds(value: Any) -> Any:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else value


def _as_path(value: Any) -> Any:
    return parse_path(value) if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _is_path(value: str) -> str:
    if not value.startswith("/") or any(part in value for part in ("?", "#", "\\", "//", "/../", "/./")):
        raise ValueError("a path starts with / and has no query, no fragment and no dots")
    if "{" in _PLACEHOLDER.sub("", value):
        raise ValueError("a placeholder is a column in braces, such as {id}")
    return value


def _is_type(value: str) -> str:
    parse_type(value)
    return value


def _is_header_text(value: SecretStr) -> SecretStr:
    if not _HEADER_TEXT.fullmatch(value.get_secret_value()):
        raise ValueError("what travels in a header is one line of printable ASCII")
    return value


def _is_header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("the name of a header is made of letters, digits and dashes")
    return value


Seconds = Annotated[float, BeforeValidator(_as_seconds), Field(gt=0)]
HeaderName = Annotated[str, AfterValidator(_is_header_name)]
HeaderText = Annotated[SecretStr, AfterValidator(_is_header_text)]
UrlPath = Annotated[str, AfterValidator(_is_path)]
Path = Annotated[JsonPath, BeforeValidator(_as_path)]


def placeholders(path: str) -> tuple[str, ...]:
    return tuple(_PLACEHOLDER.findall(path))


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


class NoAuth(Model):
    kind: Literal["none"] = "none"


class BasicAuth(Model):
    kind: Literal["basic"]
    username: str
    password: SecretStr


class BearerAuth(Model):
    kind: Literal["bearer"]
    token: HeaderText


class ApiKeyAuth(Model):
    """The key travels in a header or as a query parameter."""

    kind: Literal["api_key"]
    key: HeaderText
    header: HeaderName | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ApiKeyAuth:
        if (self.header is None) == (self.query is None):
            raise ValueError("an api_key needs either header or query, the name that it travels under")
        return self


Auth = Annotated[NoAuth | BasicAuth | BearerAuth | ApiKeyAuth, Field(discriminator="kind")]


class Single(Model):
    kind: Literal["single"] = "single"


class _Paged(Model):
    max_pages: PositiveInt = 10_000
    has_more: Path | None = None  # where it is declared it decides, before any other sign of the end


class CursorPaging(_Paged):
    """The body names a cursor for the next page; none is the end."""

    kind: Literal["cursor"]
    param: str
    next: Path


class PagePaging(_Paged):
    kind: Literal["page"]
    param: str
    start: int = 1
    short_page_is_last: bool = False


class OffsetPaging(_Paged):
    kind: Literal["offset"]
    param: str
    total: Path | None = None
    short_page_is_last: bool = False


class LinkHeaderPaging(_Paged):
    """RFC 8288: Link: <…>; rel="next"."""

    kind: Literal["link_header"]


class NextUrlPaging(_Paged):
    """The body holds the next page's URL, absolute or relative."""

    kind: Literal["next_url"]
    next: Path


Paginate = Annotated[
    Single | CursorPaging | PagePaging | OffsetPaging | LinkHeaderPaging | NextUrlPaging, Field(discriminator="kind")
]


class PageSize(Model):
    param: str
    max: PositiveInt


class Batch(Model):
    """A parameter that takes several keys at once."""

    param: str
    max: PositiveInt
    encode: Literal["comma", "repeat"] = "comma"


class GetByKey(Model):
    path: UrlPath | None = None
    records: Path = ()
    batch: Batch | None = None
    max_keys: PositiveInt = 1000  # beyond them the collection is read instead

    @model_validator(mode="after")
    def _one_way(self) -> GetByKey:
        if self.path is None and self.batch is None:
            raise ValueError("get_by_key needs a path such as /items/{id}, or a batch parameter")
        return self


class ColumnSpec(Model):
    type: Annotated[str, AfterValidator(_is_type)]
    path: Path | None = None
    nullable: bool = True
    request_only: bool = False  # the records do not repeat it: its value is the one that was asked for
    description: str | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        return parse_type(self.type)

    def path_of(self, name: str) -> JsonPath:
        """Where the value is in a record: under the column's name unless the file says otherwise."""
        return (name,) if self.path is None else self.path


class Filter(Model):
    """A parameter (or, without `param`, a placeholder of the path) that filters on a column.

    `exact`: every row that comes back satisfies the filter. Otherwise the filter is checked again.
    """

    param: str | None = None
    ops: tuple[Literal["=", "in", "<", "<=", ">", ">="], ...] = ("=",)
    exact: bool = False
    required: bool = False
    max_values: PositiveInt = 50
    encode: Literal["comma", "repeat"] = "comma"

    @model_validator(mode="after")
    def _usable(self) -> Filter:
        if self.required and not {"=", "in"} & set(self.ops):
            raise ValueError('a required filter needs "=" or "in" among its ops')
        return self


class TableSpec(Model):
    path: UrlPath
    description: str | None = None
    query: dict[str, str] = {}
    records: Path = ()
    primary_key: tuple[str, ...] = ()
    paginate: Paginate = Single()
    page_size: PageSize | None = None
    get_by_key: GetByKey | None = None
    columns: dict[str, ColumnSpec] = Field(min_length=1)
    filters: dict[str, Annotated[tuple[Filter, ...], BeforeValidator(_as_list)]] = {}
    project: ProjectSpec | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _columns(cls, value: Any) -> Any:
        """A table of columns, or an array of them that each have a name; a bare type is short for {type = …}."""
        if isinstance(value, list):
            named = [dict(item) for item in value if isinstance(item, dict) and "name" in item]
            names = [item["name"] for item in named]
            if len(named) < len(value) or len(set(names)) < len(names):
                raise ValueError("in an array every column needs a name of its own")
            value = {item.pop("name"): item for item in named}
        if not isinstance(value, dict):
            return value
        return {name: {"type": item} if isinstance(item, str) else item for name, item in value.items()}

    @model_validator(mode="after")
    def _consistent(self) -> TableSpec:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> list[str]:
        keyed = placeholders(self.get_by_key.path or "") if self.get_by_key else ()
        used = {*self.primary_key, *self.filters, *keyed}
        faults = [f'there is no column "{name}"' for name in sorted(used - set(self.columns))]
        if self.get_by_key and self.get_by_key.path and set(keyed) != set(self.primary_key):
            faults.append("the path of get_by_key must name each column of primary_key, and no other")
        if self.get_by_key and self.get_by_key.batch and len(self.primary_key) != 1:
            faults.append("a batch of keys needs a primary_key of one column")
        in_path = {name for name, items in self.filters.items() if any(item.param is None for item in items)}
        if in_path != set(placeholders(self.path)):
            faults.append("every placeholder of path needs a filter without param, and the other way round")
        if any(item.param is None and not item.required for items in self.filters.values() for item in items):
            faults.append("a filter that stands in the path must be required")
        for name in sorted(set(self.filters) & set(self.columns)):
            if not self._filterable(name):
                faults.append(f'column "{name}" is of a type that cannot be filtered on')
        echoed = {name for name, column in self.columns.items() if column.request_only}
        if echoed - {name for name, items in self.filters.items() if any(item.required for item in items)}:
            faults.append("a request_only column needs a required filter")
        if echoed and self.get_by_key:
            faults.append("get_by_key cannot give the value of a request_only column")
        if getattr(self.paginate, "short_page_is_last", False) and self.page_size is None:
            faults.append("short_page_is_last needs page_size")
        if isinstance(self.paginate, Single) and self.page_size is not None:
            faults.append("page_size needs paginate: a single page of a fixed size would end before the rows do")
        return faults

    def _filterable(self, name: str) -> bool:
        kind = self.columns[name].arrow_type
        return not (pa.types.is_nested(kind) or pa.types.is_floating(kind) or isinstance(kind, pa.JsonType))


class ProjectSpec(Model):
    """The parameter that takes the wanted fields."""

    param: str
    separator: str = ","


class Retry(Model):
    attempts: PositiveInt = 4
    max_wait: Seconds = 30.0


class Manifest(Model):
    base_url: str
    auth: Auth = NoAuth()
    headers: dict[HeaderName, HeaderText] = {}
    allow_private: bool = False
    timeout: Seconds = 30.0
    max_response_bytes: PositiveInt = 64 << 20
    retry: Retry = Retry()
    tables: dict[str, TableSpec] = {}

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url starts with http:// or https:// and names a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url has no user, no query and no fragment; credentials belong into auth")
        return value.rstrip("/")


def parse_manifest(source: str, options: Mapping[str, Any]) -> Manifest:
    """Raises one CatalogError that lists every fault, without any value."""
    try:
        return Manifest.model_validate(dict(options))
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False, include_context=True)
        lines = [_fault(fault["loc"], fault["type"], fault["msg"]) for fault in faults]
        hint = next(
            filter(None, (_nearest(fault["loc"]) for fault in faults if fault["type"] == "extra_forbidden")), None
        )
        # The validation error itself holds the input, secrets included: it is not kept as the cause.
        raise CatalogError("\n".join(lines), hint=hint, source=source) from None


def _fault(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        message = "this key is unknown"
    return f"{'.'.join(map(str, location))}: {message.removeprefix('Value error, ')}"


def _nearest(location: tuple[int | str, ...]) -> str | None:
    near = get_close_matches(str(location[-1]), _KEYS, 1)
    return f'did you mean "{near[0]}"?' if near else None


_MODELS: tuple[type[Model], ...] = (
    Manifest,
    TableSpec,
    ColumnSpec,
    Filter,
    GetByKey,
    Batch,
    PageSize,
    ProjectSpec,
    Retry,
    OffsetPaging,
)
_MODELS += (PagePaging, CursorPaging, BasicAuth, BearerAuth, ApiKeyAuth)
_KEYS = sorted({key for model in _MODELS for key in model.model_fields})
TableSpec.model_rebuild()
