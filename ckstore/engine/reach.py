"""What a root keeps alive: every object that some live checkpoint needs, by reading closure heads and no rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ckstore.engine import catalog
from ckstore.format.names import CATALOG, CLOSURE, DIRECTORY, MANIFEST, PACK, SEGMENT, is_object_name
from ckstore.format.records import Entry, Root
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
    live: set[Object] = {(CATALOG, ref.page.name) for ref in root.catalog}
    live |= {(SEGMENT, ref.name) for ref in root.segments}
    for entry in catalog.entries(repo, root):
        live.update(of_entry(repo, entry))
    return live


def on_disk(repo: Repository) -> dict[Object, int]:
    """Bytes of every catalog page, manifest, closure, segment and pack that there is, named or not."""
    found: dict[Object, int] = {}
    for kind in (CATALOG, MANIFEST, CLOSURE, SEGMENT, PACK):
        with suppress(FileNotFoundError):  # whoever needs an object of it will miss it by name
            sizes = repo.fs.sizes(DIRECTORY[kind])
            found.update({(kind, name): size for name, size in sizes.items() if is_object_name(name)})
    return found


def exclusive(repo: Repository, entries: Iterable[Entry], together: Iterable[bytes]) -> set[Object]:
    """Objects that no checkpoint but those with the ids `together` needs."""
    ids = set(together)
    mine: set[Object] = set()
    others: set[Object] = set()
    for entry in entries:
        (mine if entry.id in ids else others).update(of_entry(repo, entry))
    return mine - others
