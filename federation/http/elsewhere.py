"""Queries, and sessions of PostgreSQL's protocol, that another process of the server has: what is asked of that."""

from __future__ import annotations

from pydantic import BaseModel, TypeAdapter

from adapters.errors import OperationalError
from catalog.policies import Caller
from federation.http.models import QueryInfo
from federation.http.siblings import Answers, Siblings, named
from federation.pgwire.backends import Backend, Ending, Outcome

PREFIX = "/internal"
CANCEL, BACKENDS, END, QUERIES = "/cancel", "/backends", "/end", "/queries"
_BACKENDS, _OUTCOME, _QUERIES = TypeAdapter(list[Backend]), TypeAdapter(Outcome), TypeAdapter(list[QueryInfo])


class SessionKey(BaseModel):
    """The secret in hexadecimal digits."""

    pid: int
    secret: str


class ToEnd(BaseModel):
    """Of the session, for whom the sibling asks."""

    pid: int
    how: Ending


class Elsewhere:
    """As federation.pgwire.backends.Others."""

    def __init__(self, siblings: Siblings) -> None:
        self._siblings = siblings

    def cancel(self, process: int, pid: int, secret: bytes) -> None:
        self._siblings.tell(PREFIX + CANCEL, _body(SessionKey(pid=pid, secret=secret.hex())), [process])

    def backends(self) -> list[Backend]:
        answers = _complete(self._siblings.tell(PREFIX + BACKENDS, b""))
        return [backend for body in answers for backend in _BACKENDS.validate_json(body)]

    def queries(self) -> list[QueryInfo]:
        """Everybody's. Raises OperationalError where one does not answer."""
        answers = _complete(self._siblings.tell(PREFIX + QUERIES, b""))
        return [query for body in answers for query in _QUERIES.validate_json(body)]

    def end(self, process: int, caller: Caller, pid: int, how: Ending) -> Outcome:
        (answer,) = _complete(
            self._siblings.tell(PREFIX + END, _body(ToEnd(pid=pid, how=how)), [process], caller=caller)
        )
        return _OUTCOME.validate_json(answer)


def _body(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _complete(answers: Answers) -> list[bytes]:
    """Those of all. Raises OperationalError."""
    if answers.silent:
        raise OperationalError(f"the server's workers {named(answers.silent)} did not answer", hint="ask again")
    return [answer.body for answer in answers.given.values()]
