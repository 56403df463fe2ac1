"""What a root keeps alive: every object that some live checkpoint needs, by reading closure heads and no rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ckstore.engine import catalog
from ckstore.errors import UNREADABLE, CorruptError, MissingObjectError
from ckstore.format.names import CATALOG, CLOSURE, DIRECTORY, MANIFEST, PACK, SEGMENT, is_object_name
from ckstore.format.records import Entry, ObjectRef, Root
from ckstore.store.repository import Repository

Object = tuple[int, str]
"""(kind, name)"""


def of_entry(repo: Repository, entry: Entry) -> Iterator[Object]:
    """The objects one checkpoint needs."""
    yield MANIFEST, entry.manifest.name
    yield CLOSURE, entry.closure.name
    head = repo.objects.closure(entry.closure)
    for pack in head.packs:
        yield PACK, pack.name
    yield from ((kind, name) for kind, name in head.holders)


class Needs:
    """What checkpoints need, read once for each manifest and closure, however many roots name them."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._found: dict[tuple[ObjectRef, ObjectRef], tuple[Object, ...]] = {}
        self._one: dict[Object, Object] = {}
        """Thousands of checkpoints name the same packs: each name is held once."""

    def of(self, entry: Entry) -> tuple[Object, ...]:
        """As of_entry(), each object once."""
        key = entry.manifest, entry.closure
        if key not in self._found:
            items = dict.fromkeys(of_entry(self._repo, entry))
            self._found[key] = tuple(self._one.setdefault(item, item) for item in items)
        return self._found[key]


def of_root(repo: Repository, root: Root, needs: Needs | None = None) -> set[Object]:
    """Every object that `root` needs. Raises CorruptError where damage hides what that is: repair comes before gc.

    needs: what was read for another root, so that only what is new is read for this one.
    """
    live, needs = of_all(repo, root), needs or Needs(repo)
    for ref in root.catalog:
        ways = "`ckstore repair` looks for them elsewhere; or put the file back"
        with _hinting(f"it lists {ref.n_entries} checkpoints, so nothing can be freed: {ways}"):
            repo.objects.catalog(ref.page)
    for entry in catalog.entries(repo, root):
        ways = "`ckstore repair` makes a new one; or put the file back, or delete that checkpoint"
        with _hinting(f"{ref_of(entry)} needs it, so nothing can be freed: {ways}"):
            live.update(needs.of(entry))
    return live


@contextmanager
def _hinting(hint: str) -> Iterator[None]:
    try:
        yield
    except CorruptError as error:
        raise type(error)(f"{error.message}; {hint}", **error.details) from error


def of_all(repo: Repository, root: Root) -> set[Object]:
    """The objects that serve all checkpoints: pages of the catalog, and segments."""
    live: set[Object] = {(CATALOG, ref.page.name) for ref in root.catalog}
    live |= {(SEGMENT, ref.name) for ref in root.segments}
    return live | {(SEGMENT, name) for ref in root.segments for name in segment_holders(repo, ref)}


def segment_holders(repo: Repository, ref: ObjectRef) -> set[str]:
    """Names of the older segments in which pages of a segment lie; of a damaged one nobody wants them any more."""
    with suppress(*UNREADABLE):
        return repo.objects.segment(ref).holders
    return set()


def known(repo: Repository, root: Root, entry: Entry, needs: Needs) -> tuple[tuple[Object, ...], bool]:
    """What one checkpoint needs, and whether that is all: with a closure that cannot be read, the rest is not known."""
    try:
        return needs.of(entry), True
    except UNREADABLE as error:
        if isinstance(error, MissingObjectError) and repo.root().number != root.number:
            raise  # a gc has removed it since: Repository.at_newest looks again
    return ((MANIFEST, entry.manifest.name), (CLOSURE, entry.closure.name)), False


def ref_of(entry: Entry) -> str:
    """RUN@STEP."""
    return f"{entry.run}@{entry.step}"


def on_disk(repo: Repository) -> dict[Object, int]:
    """Bytes of every catalog page, manifest, closure, segment and pack that there is, named or not."""
    found: dict[Object, int] = {}
    for kind in (CATALOG, MANIFEST, CLOSURE, SEGMENT, PACK):
        with suppress(FileNotFoundError):  # whoever needs an object of it will miss it by name
            sizes = repo.fs.sizes(DIRECTORY[kind])
            found.update({(kind, name): size for name, size in sizes.items() if is_object_name(name)})
    return found
