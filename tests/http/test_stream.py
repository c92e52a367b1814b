"""Chunks on their way to a client: how many are made, in what order they come, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Message

from federation.http.chunks import Chunk
from federation.http.stream import AHEAD, Stream
from federation.http.workers import Workers

MANY = 100


class Made:
    """Chunks that count up from 0, and how many of them were made. The first `fails` can be made, or all."""

    def __init__(self, fails: int = MANY) -> None:
        self.count = 0
        self._fails = fails

    def chunks(self) -> Iterator[Chunk]:
        for number in range(MANY):
            if number == self._fails:
                raise ValueError("it broke")
            self.count += 1
            yield Chunk([bytes([number])], number == MANY - 1)


async def _nothing() -> Message:
    """A client that says nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def streaming(made: Made) -> AsyncIterator[Stream]:
    workers = Workers(2)
    stream = Stream(made.chunks(), workers, _nothing)
    try:
        yield stream
    finally:
        stream.close(None)
        workers.close()


async def settled(count: Callable[[], int]) -> int:
    """The number, once it has stood still for a while."""
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(0.1)
    return before


def test_all_chunks_come_in_order() -> None:
    async def read() -> bytes:
        async with streaming(Made()) as stream:
            chunk = await stream.first()
            stream.go_on()
            found = b"".join(chunk.buffers)
            while not chunk.last:
                chunk = await stream.next()
                found += b"".join(chunk.buffers)
            return found

    assert asyncio.run(read()) == bytes(range(MANY))


def test_nothing_is_made_before_the_first_chunk_is_taken_and_little_before_the_others_are() -> None:
    async def wait() -> None:
        made = Made()
        async with streaming(made) as stream:
            await stream.first()
            assert await settled(lambda: made.count) == 1
            stream.go_on()
            assert await settled(lambda: made.count) == 1 + AHEAD
            taken = await stream.next()
            assert len(taken.buffers) == AHEAD
            assert await settled(lambda: made.count) == 1 + 2 * AHEAD

    asyncio.run(wait())


def test_what_was_made_before_a_failure_comes_before_it() -> None:
    async def read() -> None:
        async with streaming(Made(fails=3)) as stream:
            found = b"".join((await stream.first()).buffers)
            stream.go_on()
            with pytest.raises(ValueError, match="it broke"):
                while True:
                    found += b"".join((await stream.next()).buffers)
            assert found == bytes(range(3))

    asyncio.run(read())


def test_nothing_is_made_once_it_is_closed() -> None:
    async def leave() -> None:
        made = Made()
        async with streaming(made) as stream:
            await stream.first()
            stream.go_on()
            await stream.next()
            stream.close(None)
            count = await settled(lambda: made.count)
            stream.go_on()
            assert await settled(lambda: made.count) == count < MANY

    asyncio.run(leave())
