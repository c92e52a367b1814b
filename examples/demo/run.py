"""One question over four systems at once: `make demo`.

run.py                      the question, its plan, its answer
run.py query "SELECT …"     any command of `federation`, over the demo's systems
run.py shell
run.py --serve              keep the CRM up, for `federation` in another terminal
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from company import write_data

HERE = Path(__file__).resolve().parent
CATALOG = HERE / "federation.toml"
PORT = 8765  # of --serve
TOKEN = "demo-token"

QUESTION = """\
Of the customers with overdue payments and open support tickets, which ten brought the most revenue in the
last twelve months? Who in our company owns the account, and whom should they call?"""

SQL = """\
WITH top AS (
    SELECT customer_id, name, account_id, revenue, overdue, open_tickets
    FROM customer.overview
    WHERE overdue > 0 AND open_tickets > 0
    ORDER BY revenue DESC, customer_id
    LIMIT 10
)
SELECT top.name AS customer, top.revenue, top.overdue, top.open_tickets AS tickets,
       account.segment, owner.full_name AS owner, contact.full_name AS contact, contact.email
FROM top
JOIN crm.accounts AS account ON account.id = top.account_id
JOIN crm.owners AS owner ON owner.id = account.owner_id
JOIN crm.contacts AS contact ON contact.account_id = top.account_id
WHERE contact.role = 'billing'
ORDER BY top.revenue DESC, top.customer_id"""

SYSTEMS = """\
erp      SQLite    customers, orders, order_lines
finance  Parquet   payments, a folder per year
support  CSV       tickets
crm      REST API  accounts, owners, contacts"""

NEXT_QUERY = "SELECT country, count(*) AS customers, sum(overdue) AS overdue FROM customer.overview GROUP BY country"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the systems' data are or will be")
    parser.add_argument("--serve", action="store_true", help="keep the CRM up until Ctrl-C")
    parser.add_argument("--port", type=int, default=PORT, help="the CRM's port under --serve")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command of federation, such as: shell")
    options = parser.parse_args()
    data: Path = options.data.resolve()

    write_data(data)
    with crm(data, options.port if options.serve else 0) as port:
        environment = {"DEMO_DATA": str(data), "CRM_PORT": str(port), "CRM_TOKEN": TOKEN}
        environment["FEDERATION_CATALOG"] = str(CATALOG)
        os.environ.update(environment)
        if options.serve:
            return serve(environment)
        return run_command(options.command) if options.command else show()


@contextmanager
def crm(data: Path, port: int) -> Iterator[int]:
    """The CRM in a process of its own, which ends with this one."""
    command = [sys.executable, str(HERE / "crm.py"), str(data), "--port", str(port)]
    with subprocess.Popen(
        command,
        env={**os.environ, "CRM_TOKEN": TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in the shell is for the shell
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the CRM did not start; its message is above")
        yield int(line)


def show() -> int:
    from federation.cli.destination import destination
    from federation.cli.formats import Look, make_writer
    from federation.engine import Engine

    title("Four systems")
    print(SYSTEMS)
    title("The question")
    print(QUESTION)
    title("The SQL")
    print(SQL)
    with Engine.open(CATALOG) as engine:
        title("The plan: what runs where")
        print(engine.explain(SQL).text())
        title("The answer")
        sys.stdout.flush()
        start = time.perf_counter()
        with engine.query(SQL) as result:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            with destination(None) as out:
                writer = make_writer("table", out, result.schema, Look(width))
                for batch in result.batches():
                    writer.write(batch)
                writer.end()
            seconds = time.perf_counter() - start
            fetched: Counter[str] = Counter()
            for part in result.progress():
                fetched[part.source] += part.rows
        print(f"{seconds * 1000:.0f} ms; fetched {', '.join(f'{n} rows from {name}' for name, n in fetched.items())}")
    title("What to type next")
    print(what_next())
    return 0


def run_command(command: list[str]) -> int:
    from federation.cli.main import main as federation

    return federation(command)


def serve(environment: dict[str, str]) -> int:
    print("The CRM is up; Ctrl-C ends it. In another terminal:\n")
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"\n{shlex.quote(shown(Path(sys.executable).parent / 'federation'))} shell", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


def what_next() -> str:
    run = f"{shlex.quote(shown(Path(sys.executable)))} {shlex.quote(shown(HERE / 'run.py'))}"
    return "\n".join(
        [
            f"{run} shell                          # ask your own: \\d lists the tables",
            f'{run} query "{NEXT_QUERY}"',
            f'{run} explain --analyze "SELECT * FROM crm.contacts WHERE account_id IN (70001, 70002)"',
            f"{run} check                          # what a catalog file that works looks like",
            f"cat {shlex.quote(shown(CATALOG))}",
        ]
    )


def shown(path: Path) -> str:
    """As it can be typed from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


if __name__ == "__main__":
    raise SystemExit(main())
