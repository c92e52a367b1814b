"""What a body asks for, as the engine takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.base import CancelToken
from catalog.policies import Caller
from federation.engine import Engine
from federation.http.models import Parameter, QueryRequest, TypedValue
from federation.http.run import Run
from federation.parameters import Typed
from federation.result import Result
from federation.staleness import Demand


def requested(
    request: QueryRequest, caller: Caller, query_id: str | None = None, max_staleness: float | None = None
) -> Run:
    """The query of a request; of two limits to the age of its rows the stricter one holds."""
    limits = [each for each in (request.max_staleness, max_staleness) if each is not None]
    demand = Demand(min(limits, default=None), request.no_cache)

    def query(engine: Engine, cancel: CancelToken) -> Result:
        options = request.options.model_dump() | demand.options()
        values = parameters(request.params)
        return engine.query(request.sql, values, request.timeout, options=options, cancel=cancel, caller=caller)

    return Run(request.sql, caller.identity, query, query_id=query_id, max_rows=request.max_rows)


def parameters(given: list[Parameter] | dict[str, Parameter] | None) -> Mapping[str, Any] | Sequence[Any] | None:
    """The values of a request as the engine takes them."""
    if isinstance(given, dict):
        return {name: _value(each) for name, each in given.items()}
    return [_value(each) for each in given] if given is not None else None


def _value(given: Parameter) -> Any:
    if isinstance(given, TypedValue):
        return Typed(given.type, given.value)
    return [_value(each) for each in given] if isinstance(given, list) else given
