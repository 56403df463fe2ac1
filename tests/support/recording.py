"""Records what ckstore does to a directory, and builds what a crash could have left of it at any moment.

A file's bytes are certain once it was synced, a name in a directory once that directory was. Everything younger may be
there, be missing, be there in part, or be there without what came before it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.door import READS, Door, Op
from tests.support.marks import Mark

Log = list[Op | Mark]


class Recorder(Door):
    """Passes everything through and keeps a log of it, with paths below `root`."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = str(root)
        self.log: Log = []

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        result = call()
        if op.verb not in READS:
            data = op.data[:result] if op.verb == "write" else b""
            other = self._below(op.other) if op.other else ""
            self.log.append(Op(op.verb, self._below(op.path), other, op.offset, data))
        return result

    def _below(self, path: str) -> str:
        return os.path.relpath(os.path.normpath(path), self._root)

    def keep_names(self, directory: Path) -> None:
        """Sync a directory, as somebody other than ckstore."""
        fd = self.open(str(directory), os.O_RDONLY | os.O_DIRECTORY)
        self.fsync(fd)
        self.close(fd)

    def mark(self, what: Any, acknowledged: bool) -> None:
        """Note that `what` has begun, or that it has returned."""
        with self._lock:
            self.log.append(Mark(what, acknowledged))


@dataclass(frozen=True)
class Image:
    """What a crash left: files and directories below the recorded root."""

    files: dict[str, bytes]
    directories: frozenset[str]

    def write(self, root: Path) -> None:
        """Make it real."""
        for directory in sorted(self.directories):
            os.makedirs(root / directory, exist_ok=True)
        for name, data in self.files.items():
            (root / name).write_bytes(data)

    @property
    def key(self) -> int:
        """Equal for equal images."""
        return hash((frozenset(self.files.items()), self.directories))


def read_image(root: Path) -> Image:
    """The directory as it is, all of it durable."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return Image(files, frozenset(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir()))


@dataclass
class _Name:
    """A name in a directory was made (for a file, or a directory: inode -1) or taken away (inode None)."""

    path: str
    inode: int | None
    certain: bool = False


@dataclass
class _Bytes:
    inode: int
    offset: int
    data: bytes
    certain: bool = False


@dataclass
class Disk:
    """A log played back: every change in order, and whether a crash can still undo it."""

    image: Image
    names: list[_Name] = field(default_factory=list)
    writes: list[_Bytes] = field(default_factory=list)
    _inode: dict[str, int] = field(default_factory=dict)
    _n_inodes: int = 0

    def __post_init__(self) -> None:
        for path in sorted(self.image.directories):
            self.names.append(_Name(path, -1, certain=True))
        for path, data in self.image.files.items():
            self.writes.append(_Bytes(self._new(path, certain=True), 0, data, certain=True))

    def _new(self, path: str, certain: bool = False) -> int:
        self._inode[path] = self._n_inodes
        self._n_inodes += 1
        self.names.append(_Name(path, self._inode[path], certain))
        return self._inode[path]

    def play(self, op: Op) -> None:
        """One more operation."""
        match op.verb:
            case "make_dir":
                self.names.append(_Name(op.path, -1))
            case "create":
                self._new(op.path)
            case "write":
                self.writes.append(_Bytes(self._inode[op.path], op.offset, op.data))
            case "link":
                self._link(op.path, op.other)
            case "rename":
                self._link(op.path, op.other)
                self.names.append(_Name(op.path, None))
            case "remove":
                self.names.append(_Name(op.path, None))
            case "sync":
                _make_certain(change for change in self.writes if change.inode == self._inode[op.path])
            case "sync_dir":
                _make_certain(change for change in self.names if os.path.dirname(change.path) == _plain(op.path))

    def _link(self, source: str, path: str) -> None:
        self._inode[path] = self._inode[source]
        self.names.append(_Name(path, self._inode[source]))

    def crash(self, names: Sequence[bool], writes: Sequence[float]) -> Image:
        """What is left if of the uncertain names those with True are there, and of the uncertain writes those parts."""
        kept_names, kept_writes = iter(names), iter(writes)
        there: dict[str, int | None] = {}
        for name in self.names:
            if name.certain or next(kept_names):
                there[name.path] = name.inode
        data: dict[int, bytearray] = {}
        for write in self.writes:
            part = 1.0 if write.certain else next(kept_writes)
            _put(data.setdefault(write.inode, bytearray()), write, part)
        return _image(there, data)

    def uncertain(self) -> tuple[int, int]:
        """How many names and writes a crash could still undo."""
        return sum(not name.certain for name in self.names), sum(not write.certain for write in self.writes)


def _plain(directory: str) -> str:
    return "" if directory == "." else directory


def _make_certain(changes: Iterable[_Name] | Iterable[_Bytes]) -> None:
    for change in changes:
        change.certain = True


def _put(file: bytearray, write: _Bytes, part: float) -> None:
    data = write.data[: int(len(write.data) * part)]
    if data:
        file.extend(bytes(max(0, write.offset - len(file))))
        file[write.offset : write.offset + len(data)] = data


def _image(there: dict[str, int | None], data: dict[int, bytearray]) -> Image:
    directories = {path for path, inode in there.items() if inode == -1 and _reached(path, there)}
    files = {
        path: bytes(data.get(inode, b""))
        for path, inode in there.items()
        if inode is not None and inode >= 0 and _reached(path, there)
    }
    return Image(files, frozenset(directories))


def _reached(path: str, there: dict[str, int | None]) -> bool:
    parent = os.path.dirname(path)
    return not parent or (there.get(parent) == -1 and _reached(parent, there))


def crashes(disk: Disk, rng: random.Random) -> dict[str, Image]:
    """What a crash at this moment may leave, by kind of crash."""
    n_names, n_writes = disk.uncertain()
    newest = [False] * (n_names - 1) + [True] * min(1, n_names)
    late = rng.randint(0, n_names)
    kinds: dict[str, tuple[Sequence[bool], Sequence[float]]] = {
        "all is there": ([True] * n_names, [1.0] * n_writes),
        "nothing unsynced is there": ([False] * n_names, [0.0] * n_writes),
        "names without bytes": ([True] * n_names, [0.0] * n_writes),
        "the last write is torn": ([True] * n_names, [1.0] * (n_writes - 1) + [0.5] * min(1, n_writes)),
        "only the newest name": (newest, [1.0] * n_writes),
        "later names without earlier ones": ([i >= late for i in range(n_names)], [1.0] * n_writes),
        "some names, some writes": (
            [rng.random() < 0.5 for _ in range(n_names)],
            [rng.choice((0.0, rng.random(), 1.0)) for _ in range(n_writes)],
        ),
    }
    return {kind: disk.crash(*kept) for kind, kept in kinds.items()}
