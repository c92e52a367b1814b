"""The golden format.

    # what the case shows
    SELECT … ;
    ---
    plan:
      …
    ====

One file holds any number of cases, separated by `====`. Below `---` stands what came out, section by section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BETWEEN_CASES = "\n====\n\n"


@dataclass(frozen=True, slots=True)
class Case:
    """`comment` with its `#`, the statement, and what came out, as text."""

    comment: str
    sql: str

    def render(self, sections: Mapping[str, str]) -> str:
        lines = [self.comment, self.sql, "---"]
        for title, text in sections.items():
            lines.append(f"{title}:")
            lines += [f"  {line}".rstrip() for line in text.splitlines()]
        return "\n".join(lines) + "\n"


def read_cases(text: str) -> list[Case]:
    """The cases of a file. What came out before is not read."""
    cases = []
    for part in text.strip().split(_BETWEEN_CASES):
        asked = part.partition("\n---\n")[0].strip("\n").removesuffix("\n---")
        lines = asked.splitlines()
        comment = [line for line in lines if line.startswith("#")]
        assert comment == lines[: len(comment)] and comment, f"a case opens with what it shows: {part}"
        cases.append(Case("\n".join(comment), "\n".join(lines[len(comment) :])))
    return cases


def write_cases(rendered: list[str]) -> str:
    return _BETWEEN_CASES.join(rendered)
