"""What pages can be asked by again, so that a source need only say that they are unchanged: RFC 9110's validators.

A scan can be asked again if each of its pages had one and can be named without secrets: by the parameters that paging
adds. Pages that are linked by a header cannot: the header may change while the page, and its validator, does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from adapters.rest_manifest import LinkHeaderPaging
from adapters.rest_paging import Step
from adapters.rest_plan import Call

if TYPE_CHECKING:
    from adapters.rest_client import Answer

Params = tuple[tuple[str, str], ...]
_MOST_CHARACTERS = 1 << 16


@dataclass(frozen=True, slots=True)
class Validator:
    """The header of a conditional request, and its value."""

    header: str
    value: str


def validator_of(headers: Mapping[str, str]) -> Validator | None:
    """A time of change is good only where a later change would have another: those of one second have the same."""
    if tag := headers.get("etag"):
        return Validator("If-None-Match", tag)
    changed, sent = _moment(headers.get("last-modified")), _moment(headers.get("date"))
    if changed is None or sent is None or sent - changed < timedelta(seconds=2):
        return None
    return Validator("If-Modified-Since", headers["last-modified"])


@dataclass(slots=True)
class Pages:
    """Of one call that is being read: what each page was asked by, and its validator. `ready` are answers that came
    while it was found out whether anything had changed."""

    noted: list[tuple[Params, Validator]] = field(default_factory=list)
    lacking: bool = False  # a page that cannot be asked again
    ready: dict[Params, Answer] = field(default_factory=dict)

    def note(self, step: Step, validator: Validator | None) -> None:
        if validator is None or step.url is not None:
            self.lacking = True
        else:
            self.noted.append((step.params, validator))


def dump(calls: Sequence[tuple[Call, Pages]]) -> str:
    """For `load`; empty where the rows cannot be asked again. Calls that a LIMIT left out are not in it."""
    linked = any(isinstance(call.paginate, LinkHeaderPaging) for call, _ in calls)
    if linked or any(pages.lacking for _, pages in calls) or not any(pages.noted for _, pages in calls):
        return ""
    found = [
        [number, params, known.header, known.value]
        for number, (_, pages) in enumerate(calls)
        for params, known in pages.noted
    ]
    text = json.dumps([_digest(calls), found])
    return text if len(text) <= _MOST_CHARACTERS else ""


def load(text: str, calls: Sequence[tuple[Call, Pages]]) -> list[tuple[Call, Pages, Params, Validator]]:
    """What to ask; nothing for other calls than those."""
    digest, found = json.loads(text)
    if digest != _digest(calls):
        return []
    return [
        (*calls[number], tuple((name, value) for name, value in params), Validator(header, known))
        for number, params, header, known in found
    ]


def _digest(calls: Sequence[tuple[Call, Pages]]) -> str:
    """Parameters may be secret."""
    asked = [(call.path, call.fixed, call.pushed) for call, _ in calls]
    return blake2b(repr(asked).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
