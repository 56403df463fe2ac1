"""All targets of the Python fuzzers, by name."""

from __future__ import annotations

from collections.abc import Callable

from tests.corrupt.damage import Small
from tests.fuzz import formats, wholes
from tests.fuzz.formats import Target

TARGETS: dict[str, Callable[[Small], Target]] = {
    made.__name__: made
    for made in (
        formats.records, formats.objects, formats.frames, formats.chunks, formats.parameters, formats.pack_tables,
        formats.closure_pages, formats.manifest_pages, formats.segment_pages, wholes.plain_values, wholes.object_names,
        wholes.references, wholes.lease_files, wholes.roots_of_a_store, wholes.manifests_of_a_store,
        wholes.closures_of_a_store,
    )
}  # fmt: skip
