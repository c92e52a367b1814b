"""Plans of statements that come again, such as the point queries of an application.

A plan follows from the bound query, the tables in it, the optimizations and what costs are known. All of these but the
costs are compared, so a plan is never one for other tables than the catalog has now: binding is not left out. Costs
decide how quick a plan is, not what it answers; they are looked at again after as long as `costs` keeps estimates.

Kept is what can run again as it is: no stages and runtime filters, for they change fragments, and scans that share
nothing. A plan serves every statement of its shape (`statement_shape`), if all its keys can be put into it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from catalog.model import CatalogTable
from federation.planner.costs import KEPT_SECONDS
from federation.planner.nodes import Fragment, Plan
from federation.planner.optimizations import Optimization, Optimizations
from federation.planner.statement_shape import LookupKeys, Shape, takes_other_keys, with_keys

KEPT = 512

_Key = tuple[str, LookupKeys | None, frozenset[Optimization]]  # None: for any keys


@dataclass(frozen=True, slots=True)
class _Known:
    tables: Mapping[str, CatalogTable]
    optimizations: Optimizations
    plan: Plan
    keys: LookupKeys
    until: float


class KnownPlans:
    """By the shape of the bound query, in which tables have identifiers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    def get(self, shape: Shape, tables: Mapping[str, CatalogTable], optimizations: Optimizations) -> Plan | None:
        known = self._find((shape.text, shape.keys, optimizations.disabled))
        known = known or self._find((shape.text, None, optimizations.disabled))
        if known is None or time.monotonic() > known.until:
            return None
        if known.optimizations != optimizations or known.tables != tables:
            return None
        return with_keys(known.plan, known.keys, shape.keys) if known.keys != shape.keys else _another(known.plan)

    def keep(self, shape: Shape, tables: Mapping[str, CatalogTable], optimizations: Optimizations, plan: Plan) -> None:
        if plan.stages or not all(map(_can_run_again, plan.fragments)):
            return
        keys = None if takes_other_keys(plan, shape.keys) else shape.keys
        key = shape.text, keys, optimizations.disabled
        known = _Known(tables, optimizations, _another(plan), shape.keys, time.monotonic() + KEPT_SECONDS)
        with self._lock:
            self._known[key] = known
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)

    def _find(self, key: _Key) -> _Known | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def forget(self) -> None:
        """Something is not as it was planned."""
        with self._lock:
            self._known.clear()


def _can_run_again(fragment: Fragment) -> bool:
    return fragment.scan is not None and fragment.scan.reusable and not fragment.runtime_filters


def _another(plan: Plan) -> Plan:
    """What a run may change is its own."""
    fragments = [replace(each, notes=list(each.notes)) for each in plan.fragments]
    return replace(plan, fragments=fragments, notes=list(plan.notes))
