"""Values that several threads want are loaded once, and failures are not kept."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from catalog.shared import Loaded, at_once


class Gate:
    """A load that waits until it is let through, and counts its runs."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.runs = 0
        self.started = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> object:
        self.runs += 1
        self.started.set()
        assert self.open.wait(30)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(action())
        except Exception as exc:
            results.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


@pytest.mark.parametrize("value", ["table", ValueError("down")])
def test_one_load_serves_all_who_ask_meanwhile(value: object) -> None:
    loaded: Loaded[str, object] = Loaded(60)
    gate = Gate(value)
    asked = [in_thread(lambda: loaded.get("k", gate)) for _ in range(4)]
    assert gate.started.wait(30)
    gate.open.set()
    for thread, _ in asked:
        thread.join()
    if isinstance(value, Exception):
        assert loaded.get("k", lambda: "recovered") == "recovered", "a failure is not kept"
    else:
        assert gate.runs == 1
        assert loaded.get("k", lambda: "other") == value
    assert [results for _, results in asked] == [[value]] * 4


def test_what_was_forgotten_while_it_was_loaded_is_not_kept() -> None:
    loaded: Loaded[str, object] = Loaded(60)
    gate = Gate("old")
    thread, results = in_thread(lambda: loaded.get("k", gate))
    assert gate.started.wait(30)
    loaded.forget(lambda key: key == "k")
    gate.open.set()
    thread.join()
    assert results == ["old"]
    assert loaded.peek("k", stale=True) is None
    assert loaded.get("k", lambda: "new") == "new"


def test_what_is_too_old_is_loaded_again_and_remains_when_that_fails() -> None:
    loaded: Loaded[str, str] = Loaded(0)
    assert loaded.get("k", lambda: "first") == "first"
    with pytest.raises(ZeroDivisionError):
        loaded.get("k", lambda: str(1 // 0))
    assert loaded.peek("k") is None
    assert loaded.peek("k", stale=True) == "first"


def test_at_once_gives_results_failures_and_what_took_too_long() -> None:
    gate = Gate("late")
    tasks: dict[str, Callable[[], object]] = {"good": lambda: "x", "bad": lambda: str(1 // 0), "slow": gate}
    answers = at_once(tasks, 1.0)
    gate.open.set()
    assert answers["good"] == "x"
    assert isinstance(answers["bad"], ZeroDivisionError)
    assert isinstance(answers["slow"], TimeoutError)
    assert at_once({}, 0.1) == {}
