"""The asynchronous connections: the same answers and errors as the blocking ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pyarrow as pa
import pytest

import federation
import federation.aio
from federation.aio import AsyncConnection
from tests.http.running import ROWS, Running
from tests.waiting import eventually

ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(x), range(100000000000) AS b(y) WHERE x * 3 = y + 1"
LONG = "SELECT x FROM range(100000000000) AS r(x)"
Work = Callable[[AsyncConnection], Coroutine[Any, Any, Any]]


def run(target: str, work: Work, **more: Any) -> Any:
    async def main() -> Any:
        async with await federation.aio.connect(target, **more) as connection:
            return await asyncio.wait_for(work(connection), 60)

    return asyncio.run(main())


def test_rows(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        cursor = await connection.execute("SELECT id FROM f.numbers WHERE id < ? ORDER BY id", [5000])
        assert cursor.description == [("id", "BIGINT", None, None, None, None, None)]
        assert cursor.rowcount == -1
        assert await cursor.fetchone() == (0,)
        assert await cursor.fetchmany() == [(1,)]
        assert await cursor.fetchmany(2000) == [(n,) for n in range(2, 2002)]
        assert [row[0] async for row in cursor] == list(range(2002, 5000))
        assert await cursor.fetchall() == []
        assert cursor.rowcount == 5000
        await connection.commit()
        await connection.rollback()

    run(target, work)


def test_arrow_and_frames(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        cursor = connection.cursor()
        sql = "SELECT * FROM f.numbers ORDER BY id"
        await cursor.execute(sql)
        assert len(await cursor.fetchmany(1500)) == 1500
        batches = [batch async for batch in cursor.fetch_record_batches()]
        table = pa.Table.from_batches(batches)
        assert table.column("id").to_pylist() == list(range(1500, ROWS))
        assert (await (await cursor.execute(sql)).fetch_arrow_table()).num_rows == ROWS
        assert len(await (await cursor.execute(sql)).fetch_df()) == ROWS
        assert (await (await cursor.execute(sql)).fetch_polars()).height == ROWS
        assert sum(each.rows for each in await cursor.progress()) >= 0
        async with connection.cursor() as empty:
            assert (await (await empty.execute("SELECT 1 AS a WHERE false")).fetch_arrow_table()).num_rows == 0

    run(target, work)


def test_many_at_once(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        async def one(number: int) -> Any:
            return await (await connection.execute("SELECT count(*) FROM f.numbers WHERE id < ?", [number])).fetchone()

        assert await asyncio.gather(*map(one, range(50))) == [(number,) for number in range(50)]

    run(target, work)


def test_the_event_loop_goes_on_meanwhile(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        turning = asyncio.create_task(turn())
        with pytest.raises(federation.OperationalError) as caught:
            await never(connection)
        turning.cancel()
        assert type(caught.value).__name__ == "QueryTimeout"
        assert turns > 5

    run(target, work, timeout=0.5)


async def never(connection: AsyncConnection) -> Any:
    return await (await connection.execute(ENDLESS)).fetchall()


def test_cancel(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        for sql in (LONG, ENDLESS):
            cursor = connection.cursor()

            async def read(cursor: Any = cursor, sql: str = sql) -> None:
                await cursor.execute(sql)
                while await cursor.fetchmany(10_000):
                    """Reads on."""

            reading = asyncio.create_task(read())
            await asyncio.sleep(0.5)
            await cursor.cancel()
            with pytest.raises(federation.OperationalError) as caught:
                await reading
            assert caught.value.sqlstate == "57014"
            assert await (await cursor.execute("SELECT 1")).fetchall() == [(1,)]

    run(target, work)


def test_a_cancelled_task_ends_its_statement(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        cursor = await connection.execute(LONG)
        reading = asyncio.create_task(cursor.fetchall())
        await asyncio.sleep(0.3)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(federation.OperationalError):  # and not an end without the rest
            await cursor.fetchall()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(never(connection), 0.3)
        assert await (await connection.execute("SELECT 1")).fetchall() == [(1,)]

    run(target, work)


def test_a_cancelled_task_frees_the_query_at_the_server(server: Running) -> None:
    def info(query_id: str) -> dict[str, Any]:
        found: dict[str, Any] = server.client.get(f"/v1/queries/{query_id}").json()
        return found

    async def work(connection: AsyncConnection) -> str:
        cursor = connection.cursor()
        executing = asyncio.create_task(cursor.execute(ENDLESS))
        await asyncio.sleep(0)
        query_id: str = cursor._statement._exchange.query_id  # type: ignore[union-attr]
        await asyncio.to_thread(eventually, lambda: info(query_id).get("state") == "running")
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        return query_id

    query_id = run(server.url, work)
    eventually(lambda: info(query_id)["ended"] is not None)


def test_nothing_works_after_close(target: str) -> None:
    async def main() -> None:
        connection = await federation.aio.connect(target)
        cursor = await connection.execute("SELECT 1")
        await connection.close()
        await connection.close()
        with pytest.raises(federation.InterfaceError):
            connection.cursor()
        for use in (connection.commit, connection.rollback, cursor.fetchone, cursor.fetchall, cursor.fetch_df):
            with pytest.raises(federation.InterfaceError):
                await use()

    asyncio.run(main())


def test_wrong_use(target: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        cursor = connection.cursor()
        await cursor.cancel()
        assert cursor.description is None
        with pytest.raises(federation.ProgrammingError):
            await cursor.fetchone()
        with pytest.raises(federation.ProgrammingError):
            await cursor.execute("SELECT ? + 0", [])
        with pytest.raises(federation.NotSupportedError):
            await cursor.executemany("INSERT INTO f.small VALUES (?)", [(1,)])

    run(target, work)
