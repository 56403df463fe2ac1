"""What a root keeps alive: every object that some live checkpoint needs, by reading closure heads and no rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

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


def of_root(repo: Repository, root: Root) -> set[Object]:
    """Every object that `root` needs."""
    live = of_all(repo, root)
    for entry in catalog.entries(repo, root):
        try:
            live.update(of_entry(repo, entry))
        except CorruptError as error:
            hint = f"{ref_of(entry)} needs it, so nothing can be freed: put the file back, or delete that checkpoint"
            raise type(error)(f"{error.message}; {hint}", **error.details) from error
    return live


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


def known(repo: Repository, root: Root, entry: Entry) -> tuple[set[Object], bool]:
    """What one checkpoint needs, and whether that is all: with a closure that cannot be read, the rest is not known."""
    try:
        return set(of_entry(repo, entry)), True
    except UNREADABLE as error:
        if isinstance(error, MissingObjectError) and repo.root().number != root.number:
            raise  # a gc has removed it since: Repository.at_newest looks again
    return {(MANIFEST, entry.manifest.name), (CLOSURE, entry.closure.name)}, False


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
