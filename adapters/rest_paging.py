"""Where the next page is, decided without any I/O.

What ends a reading, in this order: the declared flag, a missing or empty cursor or link, an empty page, and, only
where it is declared, a short page. What would make it endless or cut it short is an error: the same page twice, more
than `max_pages`, an end that contradicts what the source promised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from adapters.errors import SourceError
from adapters.rest_json import MISSING, JsonPath, Unfit, describe, find
from adapters.rest_manifest import (
    CursorPaging,
    LinkHeaderPaging,
    NextUrlPaging,
    OffsetPaging,
    PagePaging,
    Paginate,
    Single,
)

Following = CursorPaging | PagePaging | OffsetPaging | LinkHeaderPaging | NextUrlPaging


Fault = Callable[..., SourceError]  # (message, hint=None), and adds whose fault it is


@dataclass(frozen=True, slots=True)
class Step:
    """The next page: parameters to add to the first call, or a URL that replaces it."""

    params: tuple[tuple[str, str], ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What the decision needs to know of a page."""

    body: Any
    records: int
    links: Mapping[str, str]  # by relation, from the Link header


class Pager:
    """Follows one call from its first page to its last."""

    def __init__(self, paginate: Paginate, page_size: int | None, fault: Fault) -> None:
        self._fault = fault
        self._paginate = paginate
        self._page_size = page_size
        self._number = paginate.start if isinstance(paginate, PagePaging) else 0
        self._pages = 0
        self._seen = {self.first()}

    def first(self) -> Step:
        if isinstance(self._paginate, PagePaging | OffsetPaging):
            return Step(params=((self._paginate.param, str(self._number)),))
        return Step()

    def after(self, page: Page) -> Step | None:
        """The step after `page`; None at the end."""
        paginate = self._paginate
        if isinstance(paginate, Single):
            if "next" in page.links:
                raise self._fault(
                    "the source has a further page, and the table is declared to have one", hint="declare paginate"
                )
            return None
        step = self._next(paginate, page)
        if step is None:
            return None
        self._pages += 1
        if step in self._seen:
            raise self._fault("the source named a page as the next one that it had already delivered")
        if self._pages >= paginate.max_pages:
            raise self._fault(f"there are more than {paginate.max_pages} pages", hint="raise max_pages, or filter more")
        self._seen.add(step)
        return step

    def _next(self, paginate: Following, page: Page) -> Step | None:
        more = self._more(page.body, paginate.has_more)
        if more is False:
            return None
        match paginate:
            case CursorPaging():
                return self._named(self._text(page.body, paginate.next), more, paginate.param)
            case NextUrlPaging():
                return self._named(self._text(page.body, paginate.next), more)
            case LinkHeaderPaging():
                return self._named(page.links.get("next"), more)
            case PagePaging():
                return self._counted(page, more, paginate.param, paginate.short_page_is_last, 1)
            case OffsetPaging():
                if paginate.total is not None:
                    more = self._number + page.records < self._count(page.body, paginate.total)
                    if not more:
                        return None
                return self._counted(page, more, paginate.param, paginate.short_page_is_last, page.records)

    def _more(self, body: Any, path: JsonPath | None) -> bool | None:
        if path is None:
            return None
        flag = self._at(body, path)
        if not isinstance(flag, bool):
            raise self._fault(f"{_came(flag)} where has_more should be a boolean")
        return flag

    def _named(self, name: str | None, more: bool | None, param: str | None = None) -> Step | None:
        if name:
            return Step(params=((param, name),)) if param else Step(url=name)
        if more:
            raise self._fault("the source said that there are more rows, and named no next page")
        return None

    def _counted(self, page: Page, more: bool | None, param: str, short_is_last: bool, advance: int) -> Step | None:
        if more and advance == 0:
            raise self._fault("the source promised more rows, and delivered an empty page")
        if more is None and page.records == 0:
            return None
        if more is None and short_is_last and self._page_size is not None and page.records < self._page_size:
            return None
        self._number += advance
        return Step(params=((param, str(self._number)),))

    def _at(self, body: Any, path: JsonPath) -> Any:
        try:
            return find(body, path)
        except Unfit as exc:
            raise self._fault(f"{exc} to find the next page") from exc

    def _text(self, body: Any, path: JsonPath) -> str | None:
        value = self._at(body, path)
        if value is None or value is MISSING or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise self._fault(f"{_came(value)} where the next page should be named")
        return str(value)

    def _count(self, body: Any, path: JsonPath) -> int:
        value = self._at(body, path)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._fault(f"{_came(value)} where the total should be an integer")
        return value


def _came(value: Any) -> str:
    return "nothing came" if value is MISSING else f"{describe(value)} came"
