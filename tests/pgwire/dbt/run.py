"""Runs dbt's commands in dbt's own environment: `python run.py PROJECT COMMANDS`, the commands as a list of lists of
words in JSON. Prints for each whether it succeeded, what failed, and how each node ended.
"""

import json
import sys

from dbt.cli.main import dbtRunner


def main(project: str, commands: str) -> None:
    runner = dbtRunner()
    place = ["--project-dir", project, "--profiles-dir", project]
    found = []
    for command in json.loads(commands):
        done = runner.invoke(["--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats", *command, *place])
        nodes = getattr(done.result, "results", None) or []
        found.append(
            {
                "success": done.success,
                "exception": str(done.exception or ""),
                "nodes": {each.node.name: [str(each.status), each.message] for each in nodes if hasattr(each, "node")},
            }
        )
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
