"""Plans of statements that come again, such as the point queries of an application.

A plan follows from the bound query, the tables in it, the optimizations and what costs are known. All of these but the
costs are compared, so a plan is never one for other tables than the catalog has now: binding is not left out. Costs
decide how quick a plan is, not what it answers; they are looked at again after as long as `costs` keeps estimates.

Kept is what can run again as it is: no stages and runtime filters, for they change fragments, and reusable scans. A
plan serves every statement of its shape (`statement_shape`), if all its keys can be put into it. What came of putting
them in is kept apart, for the same keys.
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
KEPT_WITH_KEYS = 1024

_Key = tuple[str, LookupKeys | None, frozenset[Optimization]]  # None: for any keys


@dataclass(frozen=True, slots=True)
class _Known:
    tables: Mapping[str, CatalogTable]
    optimizations: Optimizations
    plan: Plan
    keys: LookupKeys
    until: float

    def holds(self, tables: Mapping[str, CatalogTable], optimizations: Optimizations) -> bool:
        return time.monotonic() <= self.until and self.optimizations == optimizations and self.tables == tables


class KnownPlans:
    """By the shape of the bound query, in which tables have identifiers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._with_keys: OrderedDict[_Key, _Known] = OrderedDict()

    def get(self, shape: Shape, tables: Mapping[str, CatalogTable], optimizations: Optimizations) -> Plan | None:
        same, any_keys = ((shape.text, keys, optimizations.disabled) for keys in (shape.keys, None))
        places = (self._with_keys, same), (self._known, same), (self._known, any_keys)
        found = (self._find(among, key) for among, key in places)
        known = next((each for each in found if each is not None and each.holds(tables, optimizations)), None)
        if known is None:
            return None
        if known.keys == shape.keys:
            return _another(known.plan)
        plan = with_keys(known.plan, known.keys, shape.keys)
        if plan is not None and all(map(_can_run_again, plan.fragments)):
            self._put(self._with_keys, KEPT_WITH_KEYS, same, replace(known, plan=_another(plan), keys=shape.keys))
        return plan

    def keep(self, shape: Shape, tables: Mapping[str, CatalogTable], optimizations: Optimizations, plan: Plan) -> None:
        if plan.stages or not all(map(_can_run_again, plan.fragments)):
            return
        keys = None if takes_other_keys(plan, shape.keys) else shape.keys
        known = _Known(tables, optimizations, _another(plan), shape.keys, time.monotonic() + KEPT_SECONDS)
        self._put(self._known, KEPT, (shape.text, keys, optimizations.disabled), known)

    def forget(self) -> None:
        """Something is not as it was planned."""
        with self._lock:
            self._known.clear()
            self._with_keys.clear()

    def _find(self, among: OrderedDict[_Key, _Known], key: _Key) -> _Known | None:
        with self._lock:
            found = among.get(key)
            if found is not None:
                among.move_to_end(key)
            return found

    def _put(self, among: OrderedDict[_Key, _Known], most: int, key: _Key, known: _Known) -> None:
        with self._lock:
            among[key] = known
            among.move_to_end(key)
            while len(among) > most:
                among.popitem(last=False)


def _can_run_again(fragment: Fragment) -> bool:
    return fragment.scan is not None and fragment.scan.reusable and not fragment.runtime_filters


def _another(plan: Plan) -> Plan:
    """What a run may change is its own."""
    fragments = [
        replace(each, notes=list(each.notes), scan=each.scan.again() if each.scan is not None else None)
        for each in plan.fragments
    ]
    return replace(plan, fragments=fragments, notes=list(plan.notes))
