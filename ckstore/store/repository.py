"""A repository: the files of one store and everything that reads them. The engine works on this."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ckstore.errors import ForkedError, MissingObjectError, StoreNotFound, UsageError
from ckstore.format.frame import MAX_DEPTH
from ckstore.format.names import DIRECTORY, LEASES, ROOT, TEMPORARIES, root_number
from ckstore.format.records import EMPTY, Root
from ckstore.store import reserve, roots
from ckstore.store.fs import LocalFs, process_id
from ckstore.store.objects import Objects
from ckstore.store.packs import PackReader
from ckstore.store.segments import Segments
from ckstore.store.writer import Writer

CHUNK_ELEMENTS = 1 << 18
CHAIN_COST_MILLI = 8000
CHAIN_FRAMES = 32

_DIRECTORIES = (*DIRECTORY.values(), LEASES, TEMPORARIES)
_T = TypeVar("_T")


# A chain may get one frame longer than the setting, by a rounding of its last chunk.
LIMITS = {"chunk_elements": (1 << 10, 1 << 20), "chain_cost_milli": (0, 1 << 30), "chain_frames": (1, MAX_DEPTH - 2)}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is fixed when a store is made. Source of the defaults: DESIGN §4.6 and §4.7, `python -m bench storage`."""

    chunk_elements: int = CHUNK_ELEMENTS
    chain_cost_milli: int = CHAIN_COST_MILLI
    chain_frames: int = CHAIN_FRAMES

    @staticmethod
    def of(values: Mapping[str, int]) -> Settings:
        """Settings by name. Raises UsageError for an unknown one."""
        try:
            return Settings(**values)
        except TypeError as error:
            unknown = sorted(set(values) - set(Settings.__dataclass_fields__))
            raise UsageError(f"unknown setting: {', '.join(unknown)}") from error


class Repository:
    """An open store. Refuses use in a forked child, where locks and threads are not what they seem."""

    def __init__(
        self, fs: LocalFs, readonly: bool = False, read_roots: Callable[[LocalFs], roots.Roots] = roots.Roots
    ) -> None:
        self.fs, self.readonly = fs, readonly
        self._pid = process_id()
        self.roots = read_roots(fs)
        self.roots.newest()
        uuid = self.roots.uuid
        if uuid is None:
            raise StoreNotFound(f"no ckstore store at {fs.root}")
        self.uuid = uuid
        self.objects = Objects(fs, uuid)
        self.segments = Segments(self.objects)
        self.packs = PackReader(fs, uuid)

    def root(self) -> Root:
        """The newest root."""
        self.check_process()
        return self.roots.newest()

    def at_newest(self, work: Callable[[Root], _T]) -> _T:
        """`work(newest root)`, again on a newer one if a gc removed what it was reading. For what holds no lease."""
        while True:
            root = self.root()
            try:
                return work(root)
            except MissingObjectError:
                if self.root().number == root.number:
                    raise

    def prepare(self) -> None:
        """Make sure that the store can be changed: raises UsageError, StoreNotFound, StorageError."""
        self.check_process()
        if self.readonly:
            raise UsageError(f"{self.fs.root} was opened with readonly=True: open it for writing to change it")
        missing = [path for path in _DIRECTORIES if not self.fs.exists(path)]
        if missing:  # empty directories are lost by some ways of copying a store
            self.roots.newest_number()  # but where there are no roots, nothing is made: raises StoreNotFound
            for path in missing:
                self.fs.make_dir(path)
            self.fs.sync_dir("")

    def writer(self) -> Writer:
        """Begin to change the store."""
        self.prepare()
        return Writer(self.fs, self.roots, self.objects, self.segments)

    def check_process(self) -> None:
        """Raise ForkedError in a child of the process that opened the store."""
        if process_id() != self._pid:
            raise ForkedError(f"{self.fs.root} was opened by process {self._pid}: open it again in this one")

    def close(self) -> None:
        """Let go of open files."""
        self.packs.close_idle()


def initialize(fs: LocalFs, settings: Settings) -> bool:
    """Make the directories and root 1 of a store; False if there is one already. Who loses the race opens it."""
    for name, (least, most) in LIMITS.items():
        value = getattr(settings, name)
        if type(value) is not int or not least <= value <= most:
            raise UsageError(f"{name} must be {least} to {most}, not {value!r}")
    in_root = fs.names(DIRECTORY[ROOT]) if fs.exists(DIRECTORY[ROOT]) else []
    if any(root_number(name) for name in in_root):
        return False
    _check_empty(fs, in_root)
    for directory in _DIRECTORIES:
        fs.make_dir(directory)
    fs.sync_dir("")
    fs.sync_dir("..")
    temporary = f"{TEMPORARIES}/0-{secrets.token_hex(8)}-0"
    return roots.create(fs, secrets.token_bytes(16), _first_root(settings), temporary)


def _check_empty(fs: LocalFs, in_root: list[str]) -> None:
    """Raise UsageError if the directory holds anything but what an init that was cut short leaves behind."""
    top = fs.names("") if fs.exists("") else []
    strays = [name for name in top if name not in (*_DIRECTORIES, reserve.RESERVE)]
    strays += [f"{DIRECTORY[ROOT]}/{name}" for name in in_root if root_number(name) is None]
    if strays:
        found = ", ".join(sorted(strays)[:3])
        raise UsageError(f"{fs.root} is no store and not empty (it holds {found}): make the store in a new directory")


def _first_root(settings: Settings) -> Root:
    return Root(
        number=1, previous=b"", write_id=secrets.token_bytes(16), major=roots.MAJOR,
        chunk_elements=settings.chunk_elements, incompatible=[], readonly_compatible=[], compatible=[],
        hash_seed=secrets.randbits(62), floor=0, trimmed_to=0, chain_cost_milli=settings.chain_cost_milli,
        chain_frames=settings.chain_frames, catalog=[], inline=[], segments=[], condemned=[], deleting=[], extra=EMPTY,
    )  # fmt: skip
