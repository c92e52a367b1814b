"""What is known of each statement, in the state folder: it is there after a restart."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from federation.http.errors import IdempotencyConflict, StatementInterrupted
from federation.http.models import QueryRequest, State
from federation.http.problems import problem
from federation.http.state import State as StateFolder

HIDDEN = ("idempotency_key", "runner")
ENDED = ("finished", "failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class Statement:
    """`columns`, `stats` and `starts` are there once it is finished, `error` (a problem) once it has failed. Times are
    seconds since 1970; `starts` is as `results.Results.write` gives it."""

    id: str
    owner: str
    request: QueryRequest
    state: State
    created: float
    started: float | None
    ended: float | None
    expires: float | None
    rows: int
    bytes: int
    columns: list[dict[str, str]] | None
    stats: dict[str, Any] | None
    error: dict[str, Any] | None
    starts: list[int] | None
    callback: str | None
    callback_tries: int | None


class Statements:
    """Those of all processes of a server; what this one runs has its number, `runner`. Every method talks to the disk,
    and may be called from any thread."""

    def __init__(self, state: StateFolder, runner: int = 0) -> None:
        self._state = state
        self._runner = runner

    def create(
        self, statement_id: str, owner: str, request: QueryRequest, key: str | None, callback: str | None
    ) -> str:
        """The id of the new statement, or of the one that the same key made for the same request. Raises
        IdempotencyConflict when it was another request."""
        text = json.dumps([request.model_dump(mode="json"), callback], sort_keys=True)
        values = {
            "id": statement_id,
            "owner": owner,
            "request": request.model_dump_json(),
            "created": time.time(),
            "key": key,
            "callback": callback,
            "runner": self._runner,
        }
        try:
            self._state.rows(
                """INSERT INTO statements (id, owner, request, state, created, idempotency_key, callback, runner)
                   VALUES (:id, :owner, :request, 'queued', :created, :key, :callback, :runner)""",
                values,
            )
        except sqlite3.IntegrityError:
            rows = self._state.rows("SELECT * FROM statements WHERE owner = :owner AND idempotency_key = :key", values)
            before = _statement(rows[0])
            if json.dumps([before.request.model_dump(mode="json"), before.callback], sort_keys=True) != text:
                raise IdempotencyConflict(
                    "the Idempotency-Key was used for another statement", hint="take a new key for each statement"
                ) from None
            return before.id
        return statement_id

    def get(self, statement_id: str) -> Statement | None:
        rows = self._state.rows("SELECT * FROM statements WHERE id = :id", {"id": statement_id})
        return _statement(rows[0]) if rows else None

    def of(self, owner: str) -> list[Statement]:
        """The newest first."""
        sql = "SELECT * FROM statements WHERE owner = :owner ORDER BY created DESC LIMIT 1000"
        return [_statement(row) for row in self._state.rows(sql, {"owner": owner})]

    def started(self, statement_id: str) -> None:
        self._state.rows(
            "UPDATE statements SET state = 'running', started = :now WHERE id = :id",
            {"id": statement_id, "now": time.time()},
        )

    def ended(self, statement_id: str, state: State, ttl: float, **found: Any) -> None:
        """`found` may hold rows, bytes, columns, stats, starts and error."""
        now = time.time()
        values = {
            **{"rows": 0, "bytes": 0, "columns": None, "stats": None, "starts": None, "error": None},
            **{key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in found.items()},
            **{"id": statement_id, "state": state, "now": now, "expires": now + ttl},
        }
        self._state.rows(
            """UPDATE statements SET state = :state, ended = :now, expires = :expires, rows = :rows, bytes = :bytes,
               columns = :columns, stats = :stats, starts = :starts, error = :error,
               callback_tries = CASE WHEN callback IS NULL THEN NULL ELSE 0 END WHERE id = :id""",
            values,
        )

    def interrupt(self, ttl: float) -> None:
        """What this process runs ends with it."""
        self._interrupt(self._runner, ttl)

    def take_over(self, runner: int | None, ttl: float) -> list[str]:
        """What that process, or all others if it is None, ran when it ended, in whatever way, will not go on; whoever
        waits to be told is told by this one. The ids of what did not end by itself."""
        interrupted = self._interrupt(runner, ttl)
        self._state.rows(
            "UPDATE statements SET runner = :own WHERE :runner IS NULL OR runner = :runner",
            {"own": self._runner, "runner": runner},
        )
        return interrupted

    def _interrupt(self, runner: int | None, ttl: float) -> list[str]:
        error = StatementInterrupted("the server ended while the statement ran", hint="run it again")
        rows = self._state.rows(
            """SELECT id FROM statements
               WHERE state IN ('queued', 'running') AND (:runner IS NULL OR runner = :runner)""",
            {"runner": runner},
        )
        for row in rows:
            self.ended(row["id"], "interrupted", ttl, error=problem(error, row["id"]))
        return [row["id"] for row in rows]

    def expired(self) -> list[str]:
        rows = self._state.rows("SELECT id FROM statements WHERE expires <= :now", {"now": time.time()})
        return [row["id"] for row in rows]

    def delete(self, statement_id: str) -> None:
        self._state.rows("DELETE FROM statements WHERE id = :id", {"id": statement_id})

    def ids(self) -> set[str]:
        return {row["id"] for row in self._state.rows("SELECT id FROM statements")}

    def to_call(self) -> list[Statement]:
        """Those of this process whose callers wait to be told."""
        rows = self._state.rows(
            "SELECT * FROM statements WHERE callback_tries IS NOT NULL AND ended IS NOT NULL AND runner = :runner",
            {"runner": self._runner},
        )
        return [_statement(row) for row in rows]

    def called(self, statement_id: str, tries: int | None) -> None:
        """None when there is nothing more to try."""
        self._state.rows(
            "UPDATE statements SET callback_tries = :tries WHERE id = :id", {"id": statement_id, "tries": tries}
        )


def _statement(row: sqlite3.Row) -> Statement:
    values = {key: row[key] for key in row.keys() if key not in HIDDEN}  # noqa: SIM118 -- iterates over values
    for key in ("columns", "stats", "error", "starts"):
        values[key] = json.loads(values[key]) if values[key] is not None else None
    return Statement(**{**values, "request": QueryRequest.model_validate_json(values["request"])})
