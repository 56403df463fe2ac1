"""What the engine keeps between calls on one store: worker threads, decoded bases, the last parents."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock, local
from typing import TypeVar

from ckstore.codec.scratch import Bytes
from ckstore.engine.parent import Parent, load_parent
from ckstore.errors import UsageError
from ckstore.format.records import Entry
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository
from ckstore.store.threads import submit

BASE_CACHE_BYTES = 96 << 20
UNDER_WAY_BYTES = 96 << 20
CACHED_PARENTS = 2

_T = TypeVar("_T")
_R = TypeVar("_R")


def thread_count() -> int:
    """Worker threads: one a core, at most CKSTORE_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("CKSTORE_THREADS", "")
    if not wanted:
        return cores
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UsageError(f"CKSTORE_THREADS must be a positive number, not {wanted!r}")
    return min(int(wanted), 64)


class BaseCache:
    """Logical bytes of chunks the next save may want as bases. Fills up and then takes no more: a state is walked in
    order at every save, so evicting the oldest would always evict the one wanted next."""

    def __init__(self, limit_bytes: int = BASE_CACHE_BYTES) -> None:
        self._limit, self._used = limit_bytes, 0
        self._chunks: dict[bytes, memoryview] = {}
        self._lock = RLock()

    def get(self, chunk_id: bytes) -> memoryview | None:
        """The chunk, if it is here."""
        return self._chunks.get(chunk_id)

    def replace(self, old: bytes, chunk_id: bytes, data: Bytes) -> None:
        """Drop `old`, which has served as a base, and keep a copy of its successor if there is room."""
        with self._lock:
            self._used -= len(self._chunks.pop(old, b""))
            if chunk_id not in self._chunks and self._used + len(data) <= self._limit:
                self._chunks[chunk_id] = data.copy().data
                self._used += len(data)

    def keep_only(self, wanted: Callable[[bytes], bool]) -> None:
        """Drop what `wanted` does not want."""
        with self._lock:
            self._chunks = {key: data for key, data in self._chunks.items() if wanted(key)}
            self._used = sum(map(len, self._chunks.values()))


class _Here(local):
    """Of the calling thread."""

    busy = False


class Session:
    """An open repository, its threads and caches. Thread-safe."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.bases = BaseCache()
        self.leases = Observer(repo.fs)
        self.n_threads = thread_count()
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._here = _Here()
        self._parents: OrderedDict[bytes, Parent] = OrderedDict()
        self._lock = RLock()

    def map(self, work: Callable[[_T], _R], items: Iterable[_T], cost: Callable[[_T], int]) -> Iterator[_R]:
        """`work` on every item, results in order; the items under way cost at most UNDER_WAY_BYTES together.

        cost: bytes that work on an item holds until its result is taken.
        """
        pool = self._threads()
        under_way: deque[tuple[Future[_R], int]] = deque()
        held = 0
        try:
            for item in items:
                n_bytes = cost(item)
                while under_way and (held + n_bytes > UNDER_WAY_BYTES or len(under_way) >= 2 * self.n_threads):
                    held -= under_way[0][1]
                    yield under_way.popleft()[0].result()
                if self._closed:
                    raise self._is_closed()
                under_way.append((submit(pool, work, item), n_bytes))
                held += n_bytes
            while under_way:
                yield under_way.popleft()[0].result()
        finally:
            for future, _ in under_way:  # after an error nobody may still be writing into the caller's memory
                if not future.cancel():
                    future.exception()

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._closed:
                raise self._is_closed()
            self._pool = self._pool or ThreadPoolExecutor(self.n_threads, "ckstore")
            return self._pool

    def _is_closed(self) -> UsageError:
        return UsageError(f"{self.repo.fs.root} was closed while it was in use: open it again")

    @contextmanager
    def uninterrupted(self) -> Iterator[Session]:
        """This session; another one for a signal handler that interrupted what this thread does with this one.

        The handler's worker threads would wait for locks that the interrupted thread holds.
        """
        self.repo.check_process()
        if self._here.busy:
            own = Session(Repository(self.repo.fs, self.repo.readonly))
            try:
                yield own
            finally:
                own.close()
            return
        self._here.busy = True
        try:
            yield self
        finally:
            self._here.busy = False

    def parent(self, entry: Entry) -> Parent:
        """The manifest and closure of `entry`, as a base for the next save."""
        with self._lock:
            if entry.id in self._parents and self._parents[entry.id].closure_ref == entry.closure:
                self._parents.move_to_end(entry.id)
                return self._parents[entry.id]
        return self.remember(entry, load_parent(self.repo, entry))

    def remember(self, entry: Entry, parent: Parent) -> Parent:
        """Keep what is known of a checkpoint that will likely be the next one's parent."""
        with self._lock:
            self._parents[entry.id] = parent
            if len(self._parents) > CACHED_PARENTS:
                self._parents.popitem(last=False)
        return parent

    def close(self) -> None:
        """Stop the threads and let go of files."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        self._parents.clear()
        self.bases.keep_only(lambda _: False)
        self.repo.close()
