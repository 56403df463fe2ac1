"""A small store, and a door to it that serves some of its files changed, in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import ckstore
from ckstore.api import Store
from ckstore.engine import catalog
from ckstore.engine.session import Session
from ckstore.errors import CkError, StorageError
from ckstore.format import closure, manifest
from ckstore.format.names import CATALOG, CLOSURE, MANIFEST, PACK, SEGMENT, object_path, root_path
from ckstore.format.records import ClosurePage, Entry, ManifestPage, ObjectRef, Root
from ckstore.store.fs import LocalFs
from ckstore.store.objects import Objects
from ckstore.store.packs import PackReader
from ckstore.store.repository import Repository
from ckstore.store.roots import Roots
from ckstore.store.segments import Segments

CHUNK = 1024
N_STEPS = 3
SECTOR_BYTES = 4096


class DamagedFs(LocalFs):
    """Reads as a LocalFs, but of the paths in `served` gives those bytes, and those in `gone` are not there."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.served: dict[str, bytes] = {}
        self.gone: set[str] = set()

    def open_read(self, path: str) -> int:
        if path in self.gone:
            raise FileNotFoundError(errno.ENOENT, "gone", path)
        if path in self.served and not super().exists(path):
            return os.open(os.devnull, os.O_RDONLY)
        return super().open_read(path)

    def pread(self, fd: int, n_bytes: int, offset: int, path: str) -> bytes:
        if path not in self.served:
            return super().pread(fd, n_bytes, offset, path)
        if offset < 0:
            raise StorageError(f"cannot read {path}: bad offset", errno.EINVAL)
        return self.served[path][offset : offset + n_bytes]

    def read(self, path: str, offset: int = 0, n_bytes: int | None = None) -> bytes:
        if path not in self.served:
            return super().read(path, offset, n_bytes)
        end = len(self.served[path]) if n_bytes is None else offset + n_bytes
        return self.served[path][offset:end]

    def sizes(self, directory: str) -> dict[str, int]:
        found = super().sizes(directory)
        for path, data in self.served.items():
            if path.startswith(f"{directory}/"):
                found[path.partition("/")[2]] = len(data)
        return {name: size for name, size in found.items() if f"{directory}/{name}" not in self.gone}

    @contextmanager
    def damaged(self, path: str, data: bytes | None) -> Iterator[DamagedFs]:
        """`path` holds `data`, or is missing, in this block."""
        if data is None:
            self.gone.add(path)
        else:
            self.served[path] = data
        try:
            yield self
        finally:
            self.served.pop(path, None)
            self.gone.discard(path)


def state_at(step: int) -> dict[str, Any]:
    """Weights that drift, their bfloat16 copy, what is constant, what is new every step, and small things."""
    rng = np.random.default_rng(7)
    weight = (rng.normal(size=2 * CHUNK + 300) * (1 + 1e-5 * step)).astype("f4")
    return {
        "weight": weight,
        "half": weight.astype(ml_dtypes.bfloat16),
        "frozen": rng.normal(size=CHUNK).astype("f4"),
        "zeros": np.zeros(3 * CHUNK, "f8"),
        "noise": np.random.default_rng(100 + step).integers(0, 256, 5000).astype("u1"),
        "bias": np.full(9, step, "f4"),
        "step": step,
        "betas": (0.9, 0.999),
    }


def assert_state(found: dict[str, Any], step: int) -> None:
    """`found` is exactly state_at(step)."""
    expected = state_at(step)
    assert list(found) == list(expected)
    for key, value in expected.items():
        if isinstance(value, np.ndarray):
            assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape), key
            assert found[key].tobytes() == value.tobytes(), key
        else:
            assert found[key] == value, key


def build(path: Path) -> None:
    """A store of N_STEPS checkpoints; all but the newest entry lie in a page of the catalog."""
    with pytest.MonkeyPatch.context() as patch, ckstore.open(path, create=True, chunk_elements=CHUNK) as store:
        patch.setattr(catalog, "INLINE_ENTRIES", 1)
        for step in range(N_STEPS):
            store.save(state_at(step), step=step, metrics={"loss": 1.0 / (step + 1)}, tags=[f"tag-{step}"])


@dataclass(frozen=True)
class Target:
    """One object of the store, its bytes, and a way to read all of it."""

    path: str
    what: str
    """How errors name it."""
    data: bytes
    read: Callable[[DamagedFs], object]


@dataclass
class Small:
    """The small store, opened through a DamagedFs."""

    path: Path
    fs: DamagedFs = field(init=False)
    root: Root = field(init=False)
    uuid: bytes = field(init=False)
    entries: list[Entry] = field(init=False)

    def __post_init__(self) -> None:
        self.fs = DamagedFs(str(self.path))
        repo = Repository(self.fs)
        self.root, self.uuid = repo.root(), repo.uuid
        self.entries = list(catalog.entries(repo, self.root))[::-1]

    def opened(self) -> Store:
        """A new Store that has read nothing yet."""
        return Store(Session(Repository(self.fs, readonly=True)))

    def targets(self) -> list[Target]:
        """Every metadata object, packs included (of these the header, the table and the footer)."""
        found = [self._root(number) for number in range(1, self.root.number + 1)]
        found += [self._object(CATALOG, ref.page, self._read_catalog) for ref in self.root.catalog]
        found += [self._object(MANIFEST, entry.manifest, self._read_manifest) for entry in self.entries]
        found += [self._object(CLOSURE, entry.closure, self._read_closure) for entry in self.entries]
        found += [self._object(SEGMENT, ref, self._read_segment) for ref in self.root.segments]
        return found + self.packs()

    def packs(self) -> list[Target]:
        """Every pack."""
        repo = Repository(self.fs)
        packs = {pack.name: pack for ref in self.root.segments for pack in repo.objects.segment(ref).packs}
        return [self._object(PACK, ref, self._read_pack) for ref in packs.values()]

    def _object(self, kind: int, ref: ObjectRef, read: Callable[[DamagedFs, ObjectRef], object]) -> Target:
        path = object_path(kind, ref.name)
        return Target(path, path.replace("/", " "), self.fs.read(path), lambda fs: read(fs, ref))

    def _root(self, number: int) -> Target:
        def read(fs: DamagedFs) -> object:
            roots = Roots(fs)
            return roots.newest() if number == self.root.number else roots.read(number)

        return Target(root_path(number), f"root {number}", self.fs.read(root_path(number)), read)

    def _read_catalog(self, fs: DamagedFs, ref: ObjectRef) -> object:
        return Objects(fs, self.uuid).catalog(ref)

    def _read_manifest(self, fs: DamagedFs, ref: ObjectRef) -> object:
        objects = Objects(fs, self.uuid)
        head = objects.manifest(ref)
        pages = objects.pages(MANIFEST, ref.name, head.pages, ManifestPage)
        return head, manifest.from_pages(pages, f"manifest {ref.name}", CHUNK)

    def _read_closure(self, fs: DamagedFs, ref: ObjectRef) -> object:
        objects = Objects(fs, self.uuid)
        head = objects.closure(ref)
        pages = objects.pages(CLOSURE, ref.name, head.pages, ClosurePage)
        return head, closure.from_pages(pages, f"closure {ref.name}")

    def _read_segment(self, fs: DamagedFs, ref: ObjectRef) -> object:
        return list(Segments(Objects(fs, self.uuid)).rows(ref))

    def _read_pack(self, fs: DamagedFs, ref: ObjectRef) -> object:
        reader = PackReader(fs, self.uuid)
        try:
            return reader.table(ref)
        finally:
            reader.close_idle()


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit changed."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def assert_names(error: CkError, what: str) -> None:
    """The error says, in words and as an attribute, which object it is about."""
    assert what in str(error), str(error)
    assert what in getattr(error, "object", ""), repr(error)
