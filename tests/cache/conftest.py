"""What is true of large fragments alone is tried with small ones too."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _prune_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.containment.PRUNED_ROWS", 0)
