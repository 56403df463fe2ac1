"""What is on disk and needed by no root: which objects and temporaries, where they lie, what they take."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ckstore.engine import reach
from ckstore.engine.reach import Object
from ckstore.format.names import DIRECTORY, TEMPORARIES, object_path, writer_of
from ckstore.format.records import Condemned, ObjectRef, Root
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository

TEMPORARY = 0
"""The kind under which stray temporaries are condemned."""


def dead_of(repo: Repository, root: Root, observer: Observer) -> dict[Object, int]:
    """Objects and temporaries that `root` does not need and whose writers live no more, with their bytes."""
    return unneeded(repo, root, left_alone(repo, observer), reach.Needs(repo))


def left_alone(repo: Repository, observer: Observer) -> dict[Object, int]:
    """All objects and temporaries whose writers live no more, with their bytes.

    That stays so: names never come back, nor do writers. So it may be asked of several roots what of this they need.
    """
    there = reach.on_disk(repo)
    there.update({(TEMPORARY, name): size for name, size in repo.fs.sizes(TEMPORARIES).items() if writer_of(name)})
    # Listed after the objects: a writer that made one of them had its lease by then.
    writers = {writer for writer in observer.writers() if observer.live(writer)}
    return {item: size for item, size in there.items() if writer_of(item[1]) not in writers}


def unneeded(repo: Repository, root: Root, found: Mapping[Object, int], needs: reach.Needs) -> dict[Object, int]:
    """Those of `found` that `root` neither needs nor has condemned already."""
    live = reach.of_root(repo, root, needs)
    live.update((item.kind, item.name) for item in (*root.condemned, *root.deleting))
    return {item: size for item, size in found.items() if item not in live}


def path_of(kind: int, name: str) -> str:
    """Path below the store of what was condemned."""
    return f"{TEMPORARIES}/{name}" if kind == TEMPORARY and writer_of(name) else object_path(kind, name)


def sizes_of(repo: Repository, items: list[Condemned]) -> dict[Object, int]:
    """Bytes of those of `items` that are still there."""
    found: dict[Object, int] = {}
    for directory in {DIRECTORY.get(item.kind, TEMPORARIES) for item in items}:
        sizes = repo.fs.sizes(directory)
        mine = (item for item in items if DIRECTORY.get(item.kind, TEMPORARIES) == directory)
        found.update({(item.kind, item.name): sizes[item.name] for item in mine if item.name in sizes})
    return found


def no_more_held(repo: Repository, base: Root, segments: list[ObjectRef]) -> dict[Object, int]:
    """Segments that `base` needs and the root after it, with these, does not: older ones that hold pages, too."""
    after = replace(base, segments=segments)
    freed = reach.of_all(repo, base) - reach.of_all(repo, after)
    return dict.fromkeys(freed, 0) | sizes_of(repo, [Condemned(*item, base.number) for item in freed])
