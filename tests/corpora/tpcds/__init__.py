"""TPC-DS: the generator's data and its 99 queries, and the ways the tables are spread."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpora.layouts import Layout
from tests.corpora.tables import CorpusTable, System

QUERIES = tuple(f"q{number:02}" for number in range(1, 100))
ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements" / "tpcds.lock"
PROGRAM = tuple(Path(__file__).parent / name for name in ("generate.py", "enrich.sql"))

PRIMARY_KEYS: Mapping[str, tuple[str, ...]] = {
    "call_center": ("cc_call_center_sk",),
    "catalog_page": ("cp_catalog_page_sk",),
    "catalog_returns": ("cr_item_sk", "cr_order_number"),
    "catalog_sales": ("cs_item_sk", "cs_order_number"),
    "customer": ("c_customer_sk",),
    "customer_address": ("ca_address_sk",),
    "customer_demographics": ("cd_demo_sk",),
    "date_dim": ("d_date_sk",),
    "household_demographics": ("hd_demo_sk",),
    "income_band": ("ib_income_band_sk",),
    "inventory": ("inv_date_sk", "inv_item_sk", "inv_warehouse_sk"),
    "item": ("i_item_sk",),
    "promotion": ("p_promo_sk",),
    "reason": ("r_reason_sk",),
    "ship_mode": ("sm_ship_mode_sk",),
    "store": ("s_store_sk",),
    "store_returns": ("sr_item_sk", "sr_ticket_number"),
    "store_sales": ("ss_item_sk", "ss_ticket_number"),
    "time_dim": ("t_time_sk",),
    "warehouse": ("w_warehouse_sk",),
    "web_page": ("wp_web_page_sk",),
    "web_returns": ("wr_item_sk", "wr_order_number"),
    "web_sales": ("ws_item_sk", "ws_order_number"),
    "web_site": ("web_site_sk",),
}
INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "catalog_sales": (("cs_sold_date_sk",), ("cs_bill_customer_sk",)),
    "date_dim": (("d_year", "d_moy"),),
    "store_sales": (("ss_sold_date_sk",), ("ss_customer_sk",)),
    "web_sales": (("ws_sold_date_sk",), ("ws_bill_customer_sk",)),
}
# PostgreSQL pads these with blanks and MariaDB takes them away; where the data end in blanks, the text stays `text`.
CHARACTERS: Mapping[str, str] = {
    "c_customer_id": "char(16)",
    "c_preferred_cust_flag": "char(1)",
    "c_last_name": "char(30)",
    "ca_state": "char(2)",
    "ca_zip": "char(10)",
    "ca_county": "varchar(30)",
    "cd_gender": "char(1)",
    "cd_marital_status": "char(1)",
    "cd_education_status": "char(20)",
    "cd_credit_rating": "char(10)",
    "d_day_name": "char(9)",
    "d_quarter_name": "char(6)",
    "hd_buy_potential": "char(15)",
    "i_item_id": "char(16)",
    "i_brand": "char(50)",
    "i_class": "char(50)",
    "i_category": "char(50)",
    "i_manufact": "char(50)",
    "i_size": "char(20)",
    "i_color": "char(20)",
    "i_units": "char(10)",
    "p_channel_dmail": "char(1)",
    "p_channel_email": "char(1)",
    "r_reason_desc": "char(100)",
    "s_state": "char(2)",
    "s_store_name": "varchar(50)",
    "sm_type": "char(30)",
    "sm_carrier": "char(20)",
    "t_meal_time": "char(20)",
    "w_state": "char(2)",
}


def generate() -> Path:
    """The folder of the Parquet files and queries. They are made once for all processes, and again when their program
    has changed. The program gets an environment of its own, from the package index."""
    built = ROOT / "build" / "tpcds"
    built.mkdir(parents=True, exist_ok=True)
    with (built / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(b"".join(path.read_bytes() for path in (*PROGRAM, REQUIREMENTS))).hexdigest()
        data = built / wanted[:12]
        if not data.exists():
            _generate(built, data)
    return data


def _generate(built: Path, data: Path) -> None:
    python, unfinished = built / "env" / "bin" / "python", built / "unfinished"
    venv.create(built / "env", with_pip=True, clear=True)
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS]
    subprocess.run(install, check=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    subprocess.run([python, PROGRAM[0], unfinished], check=True)
    unfinished.rename(data)


def tables(folder: Path) -> list[CorpusTable]:
    """The tables that `generate` wrote."""
    return [_table(name, pq.read_table(folder / f"{name}.parquet")) for name in PRIMARY_KEYS]


def _table(name: str, data: pa.Table) -> CorpusTable:
    text = [f.with_type(pa.string()) if f.type == pa.string_view() else f for f in data.schema]
    servers: tuple[System, ...] = ("postgres", "mariadb")
    declared = {(system, c): CHARACTERS[c] for c in data.column_names if c in CHARACTERS for system in servers}
    return CorpusTable(name, data.cast(pa.schema(text)), PRIMARY_KEYS[name], INDEXES.get(name, ()), declared)


STORE = ("store", "store_sales", "store_returns", "inventory")
CATALOG = ("catalog_sales", "catalog_returns", "catalog_page", "call_center", "warehouse")
WEB = ("web_sales", "web_returns", "web_page", "web_site")
FACTS = ("inventory", *(name for name in PRIMARY_KEYS if name.endswith(("_sales", "_returns"))))
SYSTEMS: tuple[System, ...] = ("postgres", "mariadb", "sqlite", "parquet")


def _by_channel(table: str) -> System:
    return "postgres" if table in STORE else "mariadb" if table in CATALOG else "sqlite" if table in WEB else "parquet"


def _layouts() -> Mapping[str, Layout]:
    names = tuple(PRIMARY_KEYS)
    facts_apart: dict[str, System] = {
        name: "postgres" if name in FACTS else SYSTEMS[1 + index % 2] for index, name in enumerate(names)
    }
    layouts = (
        Layout("by-channel", {name: _by_channel(name) for name in names}),
        Layout("facts-in-postgres", facts_apart),
        Layout("round-robin", {name: SYSTEMS[index % 4] for index, name in enumerate(names)}),
        *(Layout.everything_in(system, names) for system in SYSTEMS[:3]),
    )
    return {layout.name: layout for layout in layouts}


LAYOUTS = _layouts()
