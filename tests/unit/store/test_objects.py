"""Metadata objects on disk: heads and pages, found through references, checked, and cached by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from ckstore.errors import IntegrityError, MissingObjectError
from ckstore.format.names import CLOSURE, MANIFEST, object_path
from ckstore.format.records import CatalogPage, Manifest, ManifestPage, ObjectRef, PageRef, ValueRow
from ckstore.store import objects as objects_module
from ckstore.store.objects import Objects, held_by
from ckstore.store.repository import Repository
from tests.unit.store.opened import repo

__all__ = ["repo"]

PAGES = [ManifestPage([ValueRow((i,), bytes([i]) * 50)], b"", b"") for i in range(4)]


def put(repo: Repository, pages: Sequence[ManifestPage], shared: dict[bytes, PageRef], extra: int = 0) -> ObjectRef:
    def head(refs: list[PageRef]) -> Manifest:
        return Manifest("main", 1, 2, bytes(16), 0, len(pages), refs, {"fill": bytes(extra)})

    with repo.writer() as writer:
        return writer.put_paged(MANIFEST, pages, [1] * len(pages), shared, head)[0]


def read(repo: Repository, ref: ObjectRef) -> list[ManifestPage]:
    objects = Objects(repo.fs, repo.uuid)
    return list(objects.pages(MANIFEST, ref.name, objects.manifest(ref).pages, ManifestPage))


def test_pages_come_back_in_order(repo: Repository) -> None:
    assert read(repo, put(repo, PAGES, {})) == PAGES


def test_a_child_holds_only_the_pages_that_are_new(repo: Repository) -> None:
    first = put(repo, PAGES[:3], {})
    shared = held_by(first.name, repo.objects.manifest(first).pages)
    second = put(repo, PAGES, shared)
    third = put(repo, PAGES, held_by(second.name, repo.objects.manifest(second).pages))
    for ref in (second, third):
        assert read(repo, ref) == PAGES
    assert [page.holder for page in repo.objects.manifest(third).pages] == [first.name] * 3 + [second.name]
    assert third.n_bytes < second.n_bytes < first.n_bytes + 200


def test_a_head_longer_than_the_first_read_is_read_whole(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "_FIRST_READ_BYTES", 60)
    ref = put(repo, PAGES, {}, extra=5000)
    assert read(repo, ref) == PAGES


def test_a_head_is_cached_by_name_and_digest(repo: Repository) -> None:
    ref = put(repo, PAGES, {})
    first = repo.objects.manifest(ref)
    assert repo.objects.manifest(ref) is first
    with pytest.raises(IntegrityError, match=ref.name):
        repo.objects.manifest(msgspec.structs.replace(ref, digest=bytes(32)))


def test_the_cache_of_heads_is_bounded(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "_CACHED_HEADS", 3)
    refs = [put(repo, PAGES[:1], {}) for _ in range(5)]
    for ref in refs:
        repo.objects.manifest(ref)
    assert len(repo.objects._heads) == 3


def test_an_object_under_the_directory_of_another_kind_is_missing_there(repo: Repository) -> None:
    ref = put(repo, PAGES, {})
    with pytest.raises(MissingObjectError, match=f"closure {ref.name}"):
        repo.objects.closure(ref)
    Path(repo.fs.locate(object_path(CLOSURE, ref.name))).write_bytes(repo.fs.read(object_path(MANIFEST, ref.name)))
    with pytest.raises(Exception, match="expected 4"):
        repo.objects.closure(ref)


@pytest.mark.parametrize("name", ["../pack/1-0000000000000000-1", "x", ""])
def test_a_name_that_is_none_is_never_looked_for(repo: Repository, name: str) -> None:
    with pytest.raises(MissingObjectError, match="no object name"):
        repo.objects.catalog(ObjectRef(name, bytes(32), 1))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_reference_that_says_another_length_is_refused(repo: Repository, change: int) -> None:
    ref = put(repo, PAGES, {})
    with pytest.raises(IntegrityError, match=ref.name):
        repo.objects.manifest(msgspec.structs.replace(ref, n_bytes=ref.n_bytes + change))


def test_a_page_of_a_holder_that_is_gone_is_missing_by_the_name_of_the_holder(repo: Repository) -> None:
    first = put(repo, PAGES, {})
    second = put(repo, PAGES, held_by(first.name, repo.objects.manifest(first).pages))
    repo.fs.remove(object_path(MANIFEST, first.name))
    with pytest.raises(MissingObjectError, match=f"manifest {first.name}"):
        read(repo, second)


def test_pages_are_read_one_at_a_time(repo: Repository) -> None:
    """A head may list a great many: who takes them must be able to stop."""
    ref = put(repo, PAGES, {})
    head = repo.objects.manifest(ref)
    broken = msgspec.structs.replace(head.pages[1], digest=bytes(32))
    pages = iter(repo.objects.pages(MANIFEST, ref.name, [head.pages[0], broken], ManifestPage))
    assert next(pages) == PAGES[0]
    with pytest.raises(IntegrityError):
        next(pages)


def test_a_catalog_page_is_an_object_of_its_own(repo: Repository) -> None:
    with repo.writer() as writer:
        ref = writer.put(2, CatalogPage([]))
    assert repo.objects.catalog(ref) == CatalogPage([])


def test_pages_that_shrink_to_almost_nothing_can_be_read_however_many(repo: Repository) -> None:
    """No reader takes very much out of very little, so some of them are stored as they are; a child may share them."""
    pages = [ManifestPage([ValueRow((i,), bytes(1 << 20))], b"", b"") for i in range(12)]
    first = put(repo, pages, {})
    assert read(repo, first) == pages
    assert 1 << 20 < first.n_bytes < 2 << 20
    second = put(repo, pages[1:], held_by(first.name, repo.objects.manifest(first).pages))
    assert read(repo, second) == pages[1:]
