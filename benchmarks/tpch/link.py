"""The link between the systems and the sources: the proxy in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True)
class Speed:
    """`rate` is in bytes a second for each direction, `round_trip` in seconds; None is as fast as it goes."""

    rate: float | None = None
    round_trip: float | None = None


SPEEDS: Mapping[str, Speed] = {"lan": Speed(), "slow": Speed(rate=100e6 / 8, round_trip=0.020)}


class Link:
    """`uris` are the sources', by way of the link."""

    def __init__(self, uris: Mapping[str, str], speed: Speed) -> None:
        parts = {name: urlsplit(uri) for name, uri in uris.items()}
        task = {
            "targets": {name: (each.hostname, each.port) for name, each in parts.items()},
            "rate": speed.rate,
            "round_trip": speed.round_trip,
        }
        command = [sys.executable, "-m", "benchmarks.tpch.proxy", json.dumps(task)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = self._read()
        self.uris = {
            name: urlunsplit(each._replace(netloc=f"{each.username}:{each.password}@127.0.0.1:{ports[name]}"))
            for name, each in parts.items()
        }

    def counts(self) -> dict[str, tuple[int, int]]:
        """Bytes so far to each source, and from it."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return {name: (sent, received) for name, (sent, received) in self._read().items()}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
