"""The demo as a newcomer runs it, its answer checked against one that is worked out here in plain Python."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

RUN = Path(__file__).parent.parent / "examples" / "demo" / "run.py"
FEDERATION = Path(sys.executable).parent / "federation"


def demo(data: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, str(RUN), "--data", str(data), *command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data of the demo"


@pytest.fixture(scope="module")
def shown(data: Path) -> str:
    return demo(data)


def revenue(data: Path) -> dict[int, Decimal]:
    totals: dict[int, Decimal] = defaultdict(Decimal)
    connection = sqlite3.connect(data / "erp.db")
    orders = connection.execute("SELECT id, customer_id, ordered_on, status FROM orders")
    shipped = {id_: customer for id_, customer, day, status in orders if status == "shipped" and day >= "2025-07-01"}
    for order, quantity, cents in connection.execute("SELECT order_id, quantity, unit_price_cents FROM order_lines"):
        if order in shipped:
            totals[shipped[order]] += quantity * Decimal(cents) / 100
    connection.close()
    return totals


def overdue(data: Path) -> dict[int, Decimal]:
    totals: dict[int, Decimal] = defaultdict(Decimal)
    for row in ds.dataset(data / "payments").to_table().to_pylist():
        if row["paid_on"] is None and row["due_on"] < date(2026, 6, 30):
            totals[row["customer_id"]] += row["amount"]
    return totals


def open_tickets(data: Path) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    with (data / "tickets.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            counts[int(row["customer_id"])] += row["status"] == "open"
    return counts


def expected_rows(data: Path) -> list[list[str]]:
    earned, owed, tickets = revenue(data), overdue(data), open_tickets(data)
    crm = json.loads((data / "crm.json").read_text(encoding="utf-8"))
    accounts = {account["id"]: account for account in crm["accounts"]}
    owners = {owner["id"]: owner["full_name"] for owner in crm["owners"]}
    billing = {contact["account_id"]: contact for contact in crm["contacts"] if contact["role"] == "billing"}
    connection = sqlite3.connect(data / "erp.db")
    customers = list(connection.execute("SELECT id, name, crm_account_id FROM customers"))
    connection.close()
    wanted = [c for c in customers if owed.get(c[0], 0) > 0 and tickets.get(c[0], 0) > 0]
    wanted.sort(key=lambda c: (-earned[c[0]], c[0]))
    rows = []
    for number, name, account in wanted[:10]:
        contact: dict[str, Any] = billing[account]
        figures = [f"{earned[number]:.2f}", f"{owed[number]:.2f}", str(tickets[number])]
        who = [accounts[account]["segment"], owners[accounts[account]["owner"]["id"]]]
        rows.append([name, *figures, *who, contact["full_name"], contact["email"]])
    return rows


def test_the_question_is_answered(data: Path, shown: str) -> None:
    table = shown.split("The answer\n", 1)[1].split("(10 rows)", 1)[0].splitlines()
    rows = [[cell.strip() for cell in line.split(" | ")] for line in table if " | " in line]
    assert rows[0] == ["customer", "revenue", "overdue", "tickets", "segment", "owner", "contact", "email"]
    assert rows[1:] == expected_rows(data)


def test_what_it_prints(shown: str) -> None:
    for part in ("Four systems", "The question", "The SQL", "The plan", "The answer", "What to type next"):
        assert f"\n{part}" in shown
    plan = shown.split("The plan", 1)[1].split("The answer", 1)[0]
    for source in ("erp", "finance", "support", "crm"):
        assert source in plan
    assert "demo-token" not in shown


def test_the_commands_that_it_offers_work(data: Path, shown: str) -> None:
    offered = shown.split("What to type next", 1)[1]
    commands = re.findall(r"run\.py'? (query|explain --analyze|check)(?: \"(.*)\")?", offered)
    assert [command for command, _ in commands] == ["query", "explain --analyze", "check"]
    for command, sql in commands:
        assert demo(data, *command.split(), *filter(None, [sql]))


def test_a_question_of_ones_own(data: Path) -> None:
    sql = "SELECT id, owner_id FROM crm.accounts WHERE id IN (70001, 70300, 1) ORDER BY id"
    rows = list(csv.DictReader(io.StringIO(demo(data, "query", "--format", "csv", sql))))
    crm = json.loads((data / "crm.json").read_text(encoding="utf-8"))
    accounts = [account for account in crm["accounts"] if account["id"] in (70001, 70300)]
    assert rows == [{"id": str(account["id"]), "owner_id": str(account["owner"]["id"])} for account in accounts]


def test_the_crm_can_be_kept_up_for_other_programs(data: Path, shown: str) -> None:
    assert shown
    command = [sys.executable, str(RUN), "--data", str(data), "--port", "0", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        environment = dict(os.environ)
        for line in process.stdout:
            if match := re.fullmatch(r"export (\w+)='?([^']*)'?\n", line):
                environment[match[1]] = match[2]
            if line.rstrip().endswith("shell"):
                break
        sql = "SELECT count(*) AS accounts FROM crm.accounts"
        done = subprocess.run(
            [str(FEDERATION), "query", "--format", "csv", sql], env=environment, capture_output=True, text=True
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert done.stdout.split() == ["accounts", "300"], done.stderr
