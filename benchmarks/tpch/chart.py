"""Draws the results: for each layout and link, the seconds of every query by system.

It runs in the other environment, which has Matplotlib, as a file of its own: `python chart.py data.json chart.svg`. The
data are `{"title": {"system": {"query": seconds}}}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = ("#2166ac", "#d6604d", "#7f7f7f", "#b8a45c")


def draw(data: dict[str, dict[str, dict[str, float]]], path: str) -> None:
    plt.rcParams.update({"svg.hashsalt": "tpch", "font.size": 9})
    figure, panels = plt.subplots(len(data), 1, figsize=(11, 2.8 * len(data)), squeeze=False, layout="constrained")
    for panel, (title, systems) in zip(panels[:, 0], data.items(), strict=True):
        queries = sorted({query for seconds in systems.values() for query in seconds})
        width = 0.8 / len(systems)
        for index, (system, seconds) in enumerate(systems.items()):
            places = [queries.index(query) + (index - (len(systems) - 1) / 2) * width for query in seconds]
            total = f"{system}: {sum(seconds.values()):.1f} s in total"
            panel.bar(places, list(seconds.values()), width, label=total, color=COLOURS[index % len(COLOURS)])
        panel.set_yscale("log")
        panel.set_xticks(range(len(queries)), queries)
        panel.set_title(title, loc="left")
        panel.set_ylabel("seconds")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, ncols=len(systems), loc="lower right", bbox_to_anchor=(1, 1))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
