"""Fragments on disk: an index by key, and one payload file for each. Several processes may share the folder.

1. `look` finds the entry of a key, `open` its batches. What does not fit together is a miss.
2. `record` makes its caller the one who fetches a key, until the recording ends. Nobody else gets one meanwhile, in any
   process; the lock ends with the process that has it.
3. A recording writes to a file of its own. At its end the file is renamed, then entered into the index; only then can
   it be found.
4. What may answer others is filed by its region as well; `filed` finds it.
5. What no entry names and nobody is writing is removed by the next process that opens the folder.

Nothing here fails a query: what the disk refuses is logged, and is not kept.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from adapters.errors import CacheDamaged
from cache.about import NOTHING_SAID, About, forget_about, put_about, read_about
from cache.entry import Entry, read_entry
from cache.eviction import SHARE, victims
from cache.folder import Folder, this_boot
from cache.index import FAILURES, Index, is_busy, open_index
from cache.keys import FragmentKey
from cache.locks import FileLock, idle
from cache.marks import concerns, mark, marked
from cache.payload import PayloadWriter, TooLarge, Written, open_payload
from cache.pins import Held, Pins
from cache.recording import Recording, Waiters
from cache.regions import Region
from cache.shelves import on_shelf, put_on_shelf, take_off_shelf
from cache.usage import Usage, Used, add_used, forget_used, read_used
from cache.versions import VersionNotes

if TYPE_CHECKING:
    from cache.sealing import Seal

log = logging.getLogger(__name__)

MOST_BYTES = 10 << 30
#: Counts up whenever what is on disk means something else: the layout, the keys, how adapters read.
FORMAT = 3
_LOCK_SECONDS = 2.0
_LONGEST_REGION = 1 << 16  # characters
_ENTRY = "entry "  # by its digest
_BYTES, _COUNT = "bytes ", "count "  # of a source's entries
_ALL = ""  # the source that stands for all of them


class Store:
    """Thread-safe. `clock` gives seconds of the epoch. With a `seal`, nothing of the values can be read in the folder.
    A folder that cannot be used keeps nothing."""

    def __init__(
        self,
        root: Path,
        *,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
        seal: Seal | None = None,
    ) -> None:
        self.clock = clock
        self.waiters = Waiters()
        self.usage = Usage(self._write_uses)
        self.pins = Pins(lambda: self._index, self._lock_path, self._complain)
        self.versions = VersionNotes(lambda: self._index, self._lock_path, self._complain)
        self.salt = b""
        self._root = root
        self._seal = seal
        self._most_bytes = most_bytes
        self._boot = this_boot()
        self._verified: set[tuple[str, int]] = set()
        self._complained = False
        self._folder: Folder | None = None
        self._index: Index | None = None
        try:
            name = f"{FORMAT}-{version('federation')}"
            self._folder = Folder(root, f"{name}-{seal.name}" if seal is not None else name)
            try:
                self._open(self._folder)
            except FAILURES as exc:
                if is_busy(exc) or not self._folder.clear():
                    raise
                self._open(self._folder)
        except FAILURES as exc:
            self._complain(exc)
            self.close()

    def close(self) -> None:
        """Idempotent. Recordings that have not ended are not kept."""
        self.usage.close()
        index, self._index = self._index, None
        if index is not None:
            with suppress(*FAILURES):
                index.close()
        if self._folder is not None:
            self._folder.close()

    # --- reading ------------------------------------------------------------------------------------------------

    def look(self, key: FragmentKey) -> Entry | None:
        if self._index is None:
            return None
        try:
            return self._read(self._index, key.digest)
        except FAILURES as exc:
            self._complain(exc)
            return None

    def filed(self, key: FragmentKey, regions: Iterable[Region]) -> list[Entry]:
        """Entries of the key's source and credentials that may hold all rows of one of the regions."""
        index, found = self._index, []
        if index is None:
            return []
        try:
            for place in {_shelf(key, region.family, name) for region in regions for name in region.shelves()}:
                entries = [self._read(index, each) for each in on_shelf(index, place)]
                found += [each for each in entries if each is not None and each.region]
        except FAILURES as exc:
            self._complain(exc)
        return found

    @property
    def maps(self) -> bool:
        """Whether what `open` gives is in memory already, and nothing of it can fail."""
        return self._seal is None

    def open(self, entry: Entry) -> pa.RecordBatchReader | None:
        """The batches; None when they are gone or not what was written, and then the entry is as well. They are mapped
        into memory, or with a seal, opened as they are read, which may raise CacheDamaged."""
        known = (entry.file, entry.written.modified)
        trusted = entry.boot == self._boot or known in self._verified
        try:
            path, fail = self._path(entry.file), partial(self._damaged, entry)
            reader = open_payload(path, entry.written, trusted=trusted, seal=self._seal, fail=fail)
        except OSError:
            reader = None
        if reader is None:
            self.remove(entry)
        else:
            self._verified.add(known)
        return reader

    def _damaged(self, entry: Entry) -> CacheDamaged:
        self.remove(entry)
        return CacheDamaged(
            "what the cache has is not what was written", hint="ask again: the source is asked", source=entry.source
        )

    def entries(self) -> Iterator[Entry]:
        """All that can be found now."""
        if self._index is not None:
            yield from self._entries(self._index)

    def listed(self) -> Iterator[tuple[Entry, About, Used]]:
        """All that can be found now, with what is said of it and how often it was given, by whichever process."""
        self.usage.flush()
        if self._index is None:
            return
        try:
            for entry in self._entries(self._index):
                yield entry, read_about(self._index, entry.digest), read_used(self._index, entry.digest)
        except FAILURES as exc:
            self._complain(exc)

    def about(self, entry: Entry) -> About:
        """What was said of it when it was fetched."""
        try:
            return read_about(self._index, entry.digest) if self._index is not None else About()
        except (*FAILURES, TypeError) as exc:
            self._complain(exc)
            return About()

    def sizes(self, source: str) -> tuple[int, int]:
        """How many fragments of the source there are, and their bytes."""
        if self._index is None:
            return 0, 0
        try:
            return self._index.get(_COUNT + source, 0), self._index.get(_BYTES + source, 0)
        except FAILURES as exc:
            self._complain(exc)
            return 0, 0

    def valid_from(self, entry: Entry | Held) -> float:
        """Since when what is fetched of its source and tables counts, in seconds of the epoch."""
        if self._index is None:
            return 0.0
        try:
            return marked(self._index, entry.source, entry.tables)
        except FAILURES as exc:
            self._complain(exc)
            return math.inf  # it may have been invalidated

    def invalidate(self, sources: set[str], tables: set[str]) -> int:
        """As `outdate`, and what was fetched is removed; the number of fragments."""
        index = self._index
        if index is None:
            return 0
        self.outdate(sources, tables)
        try:
            found = [each for each in self._entries(index) if concerns(each.source, each.tables, sources, tables)]
        except FAILURES as exc:
            raise OSError(f"{self._root}: {exc}") from exc
        for entry in found:
            self.remove(entry)
        return len(found)

    def outdate(self, sources: set[str], tables: set[str]) -> None:
        """Nothing that was fetched of them until now is given any more, in whatever process. Raises OSError where that
        cannot be written down."""
        if self._index is not None:
            try:
                mark(self._index, sources, tables, self.clock())
            except FAILURES as exc:
                raise OSError(f"{self._root}: {exc}") from exc

    # --- versions -----------------------------------------------------------------------------------------------

    def renew(self, entry: Entry, asked: float, pinned_until: float = 0.0) -> None:
        """Its source said at `asked` or later that it has the same rows. Until `pinned_until`, others make room before
        it."""
        if self._index is None:
            return
        try:
            with self._index.transact():
                found = self._still(self._index, entry)
                if found is not None:
                    longest = max(found.pinned_until, pinned_until)
                    renewed = replace(found, renewed=max(found.renewed, asked), pinned_until=longest)
                    self._index.set(_ENTRY + entry.digest, renewed.to_text())
        except FAILURES as exc:
            self._complain(exc)

    # --- writing ------------------------------------------------------------------------------------------------

    def record(
        self,
        key: FragmentKey,
        schema: pa.Schema,
        tables: tuple[str, ...],
        most_bytes: int | None = None,
        region: Region | None = None,
        about: About = NOTHING_SAID,
        pinned_until: float = 0.0,
    ) -> Recording | None:
        """The turn to fetch `key`, and the way to keep what comes; None while another has it. `schema` is what will
        arrive, `most_bytes` what the fragments of the source may take together."""
        lock = writer = None
        limit = min(most_bytes or self._most_bytes, self._most_bytes)
        about = replace(about, principal=key.principal, columns=tuple(schema.names))
        enter = partial(self._enter, key, tables, self.clock(), limit, region, about, pinned_until)
        if self._index is not None:
            try:
                lock = FileLock.attempt(self._lock_path(key.digest))
                if lock is None:
                    return None
                path = self._path(f"{key.digest}.{secrets.token_hex(8)}.part")
                writer = PayloadWriter(path, schema, limit, self._seal)
            except FAILURES as exc:
                self._complain(exc)
        return Recording(lock, writer, enter, partial(self.waiters.fail, key.digest), self._complain)

    def idle(self, digest: str) -> float:
        """Seconds since whoever has the turn for that digest gave a sign of life."""
        return idle(self._lock_path(digest))

    def remove(self, entry: Entry) -> None:
        """Nothing happens to a newer entry of the same key."""
        if self._index is None:
            return
        try:
            with self._index.transact():
                if self._still(self._index, entry) is not None:
                    self._forget(self._index, entry)
                    forget_used(self._index, entry.digest)
            self._path(entry.file).unlink(missing_ok=True)
        except FAILURES as exc:
            self._complain(exc)

    def _enter(
        self,
        key: FragmentKey,
        tables: tuple[str, ...],
        as_of: float,
        limit: int,
        region: Region | None,
        about: About,
        pinned_until: float,
        writer: PayloadWriter,
        written: Written,
        seconds: float,
        versions: Mapping[str, str],
    ) -> None:
        path = writer.path.with_suffix(".arrow")
        writer.path.rename(path)
        entry = Entry(key.digest, key.source, tables, as_of, seconds, writer.rows, path.name, written, self._boot)
        entry = replace(entry, pinned_until=pinned_until, versions=versions)
        text = region.dump() if region is not None else ""
        if region is not None and len(text) <= _LONGEST_REGION:
            shelf = _shelf(key, region.family, region.shelf())
            entry = replace(entry, region=text, shelf=shelf)
        index = self._index
        if index is None:
            path.unlink()
            return
        try:
            with index.transact():
                before = self._read(index, key.digest)
                if before is not None:
                    self._forget(index, before)
                index.set(_ENTRY + key.digest, entry.to_text())
                put_about(index, key.digest, about)
                self._count(index, key.source, 1, entry.bytes)
                if entry.shelf:
                    put_on_shelf(index, entry.shelf, entry.digest)
        except FAILURES:
            path.unlink()
            raise
        if before is not None:
            self._path(before.file).unlink(missing_ok=True)
        self._make_room(index, _ALL, self._most_bytes)
        self._make_room(index, key.source, limit)

    def _make_room(self, index: Index, source: str, limit: int) -> None:
        excess = index.get(_BYTES + source, 0) - limit
        if excess <= 0:
            return
        used = []
        for entry in self._entries(index):
            if source in (_ALL, entry.source):
                with suppress(OSError):
                    used.append((entry, self._path(entry.file).stat().st_atime))
        for entry in victims(used, time.time(), self.clock(), excess + (1 - SHARE) * limit):
            self.remove(entry)
            self.usage.evicted(entry.source)

    # --- the index ----------------------------------------------------------------------------------------------

    def _open(self, folder: Folder) -> None:
        index = open_index(folder.path, most_bytes=None, seconds=_LOCK_SECONDS, seal=self._seal)
        index.add("salt", secrets.token_hex(16))
        self.salt = bytes.fromhex(index.get("salt"))
        self._sweep(index)
        self._index = index

    def _sweep(self, index: Index) -> None:
        """Remove what was left by processes that ended in the middle, and count anew what is there."""
        sizes = {_ALL: (0, 0)}
        kept = set()
        with index.transact():  # so that what it names has been renamed before
            names = {path.name for path in self._folder_path.iterdir()}
            for entry in list(self._entries(index)):
                if entry.file not in names:
                    self._forget(index, entry)
                    forget_used(index, entry.digest)
                    continue
                kept.add(entry.file)
                for source in (_ALL, entry.source):
                    count, size = sizes.get(source, (0, 0))
                    sizes[source] = count + 1, size + entry.bytes
            for source, (count, size) in sizes.items():
                index.set(_COUNT + source, count)
                index.set(_BYTES + source, size)
        for name in names - kept:
            digest, _, rest = name.partition(".")
            lock = FileLock.attempt(self._lock_path(digest)) if rest.endswith(("lock", "part", "arrow")) else None
            if lock is not None:  # nobody writes it; if somebody just did, it has its entry by now
                found = self._read(index, digest)
                if found is None or found.file != name:
                    self._path(name).unlink(missing_ok=True)
                lock.release()

    def _entries(self, index: Index) -> Iterator[Entry]:
        for key in list(index.iterkeys()):
            if isinstance(key, str) and key.startswith(_ENTRY):
                entry = self._read(index, key.removeprefix(_ENTRY))
                if entry is not None:
                    yield entry

    def _still(self, index: Index, entry: Entry) -> Entry | None:
        """What the entry is now, if no newer one has taken its place."""
        found = self._read(index, entry.digest)
        return found if found is not None and found.file == entry.file else None

    def _read(self, index: Index, digest: str) -> Entry | None:
        try:
            return read_entry(index.get(_ENTRY + digest))
        except ValueError:  # it was not written here
            return None

    def _forget(self, index: Index, entry: Entry) -> None:
        index.delete(_ENTRY + entry.digest)
        forget_about(index, entry.digest)
        self._count(index, entry.source, -1, -entry.bytes)
        if entry.shelf:
            take_off_shelf(index, entry.shelf, entry.digest)

    def _count(self, index: Index, source: str, count: int, size: int) -> None:
        for each in (_ALL, source):
            index.incr(_COUNT + each, count)
            index.incr(_BYTES + each, size)

    def _write_uses(self, found: Mapping[str, Used]) -> None:
        """Of fragments that are still there. Raises what the index raises."""
        index = self._index
        if index is not None:
            with index.transact():
                for digest, used in found.items():
                    if _ENTRY + digest in index:
                        add_used(index, digest, used)

    # --- the folder ---------------------------------------------------------------------------------------------

    @property
    def _folder_path(self) -> Path:
        assert self._folder is not None
        return self._folder.path

    def _path(self, name: str) -> Path:
        return self._folder_path / name

    def _lock_path(self, digest: str) -> Path:
        return self._folder_path / f"{digest}.lock"

    def _complain(self, exc: Exception) -> None:
        if isinstance(exc, TooLarge):
            log.info("a fragment is not kept: %s", exc)
        elif not self._complained:
            self._complained = True
            log.warning("fragments are not kept in %s: %s", self._root, exc)


def _shelf(key: FragmentKey, family: str, name: str) -> str:
    return key.place("shelf", family, name)
