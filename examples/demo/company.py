"""The demo's company: 300 customers over four systems, the same on every machine.

erp.db                           SQLite: customers, orders, order_lines
payments/year=2025/part.parquet  what was invoiced, when it was due, when it was paid
tickets.csv                      support
crm.json                         what the CRM serves: accounts, owners, contacts
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import random
import shutil
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]

TODAY = dt.date(2026, 6, 30)
VERSION = "1"  # of the data: a folder that holds another one is written anew
CUSTOMERS = 300
FIRST_ACCOUNT = 70_001  # the CRM counts on its own

_FIRST = ["Acme", "Borealis", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Indigo", "Juniper"]
_FIRST += ["Kestrel", "Lumen", "Meridian", "Nimbus", "Orchard", "Pioneer", "Quartz", "Ridge", "Summit", "Tundra"]
_SECOND = ["Foods", "Logistics", "Robotics", "Textiles", "Energy", "Labs", "Marine", "Media", "Optics", "Pharma"]
_SECOND += ["Steel", "Travel", "Tools", "Water", "Works"]
_SUFFIX = {"DE": "GmbH", "FR": "SARL", "GB": "Ltd", "US": "Inc", "SE": "AB", "IT": "S.p.A.", "NL": "B.V."}
_GIVEN = ["Ada", "Björn", "Chloé", "Deniz", "Elena", "Finn", "Grace", "Hana", "Ivo", "Jana", "Kofi", "Lucía"]
_GIVEN += ["Mei", "Noor", "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara"]
_FAMILY = ["Almeida", "Bauer", "Castro", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen"]
_FAMILY += ["Kowalski", "Larsen", "Moreau", "Novak", "Okafor", "Petrov", "Rossi", "Schmidt", "Tanaka", "Weber"]
_SUBJECTS = ["Delivery is late", "Wrong quantity", "Invoice unclear", "Damaged on arrival", "Login does not work"]
_ROLES = ["billing", "purchasing", "operations"]


def write_data(folder: Path) -> None:
    """Everything, unless the folder holds it already."""
    done = folder / "version"
    if done.exists() and done.read_text() == VERSION:
        return
    folder.mkdir(parents=True, exist_ok=True)
    random_ = random.Random(20260630)
    customers = _customers(random_)
    orders, lines = _orders(random_)
    _write_erp(folder / "erp.db", customers, orders, lines)
    _write_payments(folder / "payments", _payments(random_, orders, lines))
    _write_tickets(folder / "tickets.csv", random_)
    crm = _crm(random_, customers, _ranks(orders))
    (folder / "crm.json").write_text(json.dumps(crm, ensure_ascii=False), encoding="utf-8")
    done.write_text(VERSION)


def _customers(random_: random.Random) -> list[tuple[Any, ...]]:
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    random_.shuffle(names)
    rows = []
    for number in range(1, CUSTOMERS + 1):
        country = random_.choice(list(_SUFFIX))
        rows.append((number, f"{names[number - 1]} {_SUFFIX[country]}", country, FIRST_ACCOUNT + number - 1))
    return rows


def _orders(random_: random.Random) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    orders, lines = [], []
    # A few customers order most: as in life, and so that a ranking has something to say.
    weights = [1 / rank**0.7 for rank in range(1, CUSTOMERS + 1)]
    order_of_weight = random_.sample(range(1, CUSTOMERS + 1), CUSTOMERS)
    for number in range(1, 6001):
        customer = random_.choices(order_of_weight, weights)[0]
        ordered_on = TODAY - dt.timedelta(days=random_.randrange(1, 730))
        status = "cancelled" if random_.random() < 0.04 else "shipped"
        orders.append((number, customer, ordered_on.isoformat(), status))
        for line in range(1, random_.randint(1, 5) + 1):
            price = random_.randrange(500, 90_000)
            lines.append((number, line, f"SKU-{random_.randrange(1, 400):04d}", random_.randint(1, 40), price))
    return orders, lines


def _payments(random_: random.Random, orders: list[tuple[Any, ...]], lines: list[tuple[Any, ...]]) -> Rows:
    cents: dict[int, int] = {}
    for order, _, _, quantity, price in lines:
        cents[order] = cents.get(order, 0) + quantity * price
    slow = {customer for customer in range(1, CUSTOMERS + 1) if random_.random() < 0.2}
    rows = []
    for order, customer, ordered_on, status in orders:
        if status == "cancelled":
            continue
        due = dt.date.fromisoformat(ordered_on) + dt.timedelta(days=30)
        delay = random_.randrange(20, 220) if customer in slow and random_.random() < 0.3 else random_.randrange(-25, 4)
        paid: dt.date | None = due + dt.timedelta(days=delay)
        if paid and paid > TODAY:
            paid = None
        amount = Decimal(cents[order]).scaleb(-2)
        rows.append({"order_id": order, "customer_id": customer, "amount": amount, "due_on": due, "paid_on": paid})
    return rows


def _write_erp(
    path: Path, customers: list[tuple[Any, ...]], orders: list[tuple[Any, ...]], lines: list[tuple[Any, ...]]
) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    # STRICT tables hold what they declare, so that filters and joins on them can run in SQLite.
    connection.executescript("""
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL,
                                crm_account_id INTEGER NOT NULL) STRICT;
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
                             ordered_on TEXT NOT NULL, status TEXT NOT NULL) STRICT;
        CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders (id), line INTEGER NOT NULL,
                                  sku TEXT NOT NULL, quantity INTEGER NOT NULL, unit_price_cents INTEGER NOT NULL,
                                  PRIMARY KEY (order_id, line)) STRICT;
    """)
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", customers)
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
    connection.executemany("INSERT INTO order_lines VALUES (?, ?, ?, ?, ?)", lines)
    connection.commit()
    connection.close()


def _write_payments(folder: Path, rows: Rows) -> None:
    columns: dict[str, pa.DataType] = {"order_id": pa.int64(), "customer_id": pa.int64()}
    columns |= {"amount": pa.decimal128(12, 2), "due_on": pa.date32(), "paid_on": pa.date32()}
    shutil.rmtree(folder, ignore_errors=True)
    for year in sorted({row["due_on"].year for row in rows}):
        part = folder / f"year={year}" / "part.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([r for r in rows if r["due_on"].year == year], pa.schema(columns)), part)


def _write_tickets(path: Path, random_: random.Random) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket_id", "customer_id", "opened_on", "status", "priority", "subject"])
        for number in range(1, 1201):
            opened_on = TODAY - dt.timedelta(days=int(random_.expovariate(1 / 120)))
            status = "open" if random_.random() < 0.25 else "closed"
            priority = random_.choice(["low", "normal", "normal", "high"])
            customer = random_.randint(1, CUSTOMERS)
            writer.writerow([number, customer, opened_on, status, priority, random_.choice(_SUBJECTS)])


def _ranks(orders: list[tuple[Any, ...]]) -> dict[int, int]:
    """The place of each customer by number of orders."""
    counts = Counter(customer for _, customer, _, _ in orders)
    return {customer: rank for rank, (customer, _) in enumerate(counts.most_common())}


def _crm(random_: random.Random, customers: list[tuple[Any, ...]], ranks: dict[int, int]) -> dict[str, Rows]:
    def person() -> str:
        return f"{random_.choice(_GIVEN)} {random_.choice(_FAMILY)}"

    owners = [{"id": n, "full_name": person(), "email": f"owner{n}@federation.example"} for n in range(1, 13)]
    accounts: Rows = []
    contacts: Rows = []
    for number, name, _, account in customers:
        rank = ranks.get(number, CUSTOMERS)
        segment = "enterprise" if rank < 25 else "mid-market" if rank < 100 else "small"
        domain = "-".join(name.lower().split()[:2])
        accounts.append({"id": account, "name": name, "segment": segment, "owner": {"id": random_.randint(1, 12)}})
        for role in _ROLES[: random_.randint(1, 3)]:
            email = f"{role}@{domain}.example"
            contacts.append(
                {"id": len(contacts) + 1, "account_id": account, "role": role, "full_name": person(), "email": email}
            )
    return {"accounts": accounts, "owners": owners, "contacts": contacts}
