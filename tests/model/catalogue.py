"""The models, one per feature, and for each guard of the protocol one that shows what happens without it."""

from __future__ import annotations

from collections.abc import Callable

from tests.model import durability, trimming
from tests.model.collector import Collector, stray_after_one_more
from tests.model.ranks import Leader, Rank
from tests.model.readers import Pinned, Reader
from tests.model.republishers import Repacker, Thinner, broken_republishing
from tests.model.savers import Adopter, Deleter, PoliteSaver, Saver
from tests.model.search import Actor, Model
from tests.model.world import NONE, Entry, Names, Root, World, broken

C0 = frozenset({"pack X", "page H"})
ONE = World(Root(entries=(Entry("c0", C0),), named=frozenset({"pack X"})), C0)
"""A store of one checkpoint: frames in pack X, pages that a child will share in H."""
EMPTIED = World(Root(named=frozenset({"pack X"})), C0, deleted=frozenset({"c0"}))
"""The same after its checkpoint was deleted: a segment still names the pack."""

Build = Callable[[Names], Model]


def _store(world: World, *actors: Actor, tidy: bool = True) -> Model:
    return Model(world, actors, broken, stray_after_one_more if tidy else lambda _: "")


def commits(removed: Names = NONE) -> Model:
    """Two savers, whose answers may get lost, a third one, and deletions."""
    quiet = Saver("c", removed, crashes=False, answers_get_lost=False)
    return _store(EMPTIED, Saver("a", removed), Saver("b", removed), quiet, Deleter("a"))


def two_savers_one_gc(removed: Names = NONE) -> Model:
    """Two savers and a deletion beside a gc that may be wrong about who lives."""
    savers = [Saver("a", removed, crashes=False), Saver("b", removed, crashes=False, answers_get_lost=False)]
    return _store(ONE, *savers, Deleter("c0"), Collector("gc", removed, crashes=False))


def one_saver_two_gcs(removed: Names = NONE) -> Model:
    """A saver and a deletion beside two gcs that take over from each other."""
    saver = Saver("a", removed, crashes=False, answers_get_lost=False)
    return _store(ONE, saver, Deleter("c0"), Collector("gc", removed), Collector("gc2", removed))


def two_gcs(removed: Names = NONE) -> Model:
    """Two gcs that take over from each other, and a deletion; nobody saves."""
    return _store(ONE, Deleter("c0"), Collector("gc", removed), Collector("gc2", removed))


def saver_beside_gc(removed: Names = NONE) -> Model:
    """A saver whose answers may get lost, a deletion, and a gc that may be wrong about who lives."""
    return _store(ONE, Saver("a", removed), Deleter("c0"), Collector("gc", removed))


def polite_gc(removed: Names = NONE) -> Model:
    """A gc that waits for the living, beside two savers: it must harm nobody who began before it condemned."""
    savers = [PoliteSaver(name, removed, crashes=False, answers_get_lost=False) for name in "ab"]
    return _store(ONE, *savers, Deleter("c0"), Collector("gc", removed, polite=True, crashes=False))


def two_polite_gcs(removed: Names = NONE) -> Model:
    """Two of them beside one saver, and something to condemn for the second that was not there for the first."""
    saver = PoliteSaver("a", removed, crashes=False, answers_get_lost=False)
    stray = EMPTIED._replace(root=ONE.root, deleted=NONE, disk=C0 | {"pack S"})
    gcs = [Collector(name, removed, polite=True, crashes=False) for name in ("gc", "gc2")]
    return _store(stray, saver, Deleter("c0"), *gcs)


def adoption(removed: Names = NONE) -> Model:
    """Somebody takes up packs that he finds on disk, beside a gc."""
    return _store(EMPTIED, Adopter("a", removed, answers_get_lost=False), Collector("gc", removed))


def repack(removed: Names = NONE) -> Model:
    """A repack, then gc as ever, beside a saver whose parent has the old closure."""
    saver = Saver("a", removed, crashes=False, answers_get_lost=False)
    return _store(ONE, Repacker("r", removed), saver, Collector("gc", removed, crashes=False))


def republishing(removed: Names = NONE) -> Model:
    """A repack and a thinning of one checkpoint that somebody deletes, beside a gc."""
    actors = [Repacker("r", removed), Thinner("t", removed), Deleter("c0"), Collector("gc", removed, crashes=False)]
    return Model(ONE, actors, broken_republishing, stray_after_one_more)


def reader_beside_repack(removed: Names = NONE) -> Model:
    """A reader without a pin: what a gc takes away from under it, the newest root says where to find."""
    return _store(ONE, Repacker("r", removed), Deleter("c0"), Reader("reader", removed), Collector("gc", removed))


def pinned_reader(removed: Names = NONE) -> Model:
    """A reader with a pin beside a gc that waits for the living: it misses nothing, even of what was deleted."""
    gc = Collector("gc", removed, polite=True, crashes=False)
    return _store(ONE, Repacker("r", removed, crashes=False), Deleter("c0"), Pinned("reader", removed), gc)


def ranks(removed: Names = NONE) -> Model:
    """Two ranks of one checkpoint, begun at different times, beside a gc that may be wrong about who lives."""
    leader = Leader("a", frozenset({"b"}), removed)
    rank = Rank("b", removed, crashes=False, answers_get_lost=False)
    return _store(ONE, leader, rank, Deleter("c0"), Collector("gc", removed, crashes=False))


def trimmed_roots(removed: Names = NONE) -> Model:
    """A commit that stalls while others commit and old roots go, and the power fails."""
    actors = [
        trimming.Committer("slow", ("a",), removed),
        trimming.Committer("fast", ("b", "c"), removed),
        trimming.Trimmer("trimmer", removed),
        trimming.Power(),
    ]
    return Model(trimming.World(), actors, trimming.broken)


def _durable(*actors: Actor) -> Model:
    world = durability.World((ONE.root,), C0, C0, frozenset({"c0"}))
    return Model(world, [*actors, durability.Power("the power")], durability.broken)


def durable_save(removed: Names = NONE) -> Model:
    """What is synced before what: a saver, a deletion and a gc, and the power fails."""
    saver, deleter = durability.Saver("a", removed), durability.Deleter("deleter", removed)
    return _durable(saver, deleter, durability.Collector("gc", removed))


def durable_gc(removed: Names = NONE) -> Model:
    """A deletion and three gcs that go on from each other's roots, certain or not, and the power fails."""
    gcs = [durability.Collector(name, removed) for name in ("gc", "gc2", "gc3")]
    return _durable(durability.Deleter("deleter", removed), *gcs)


MODELS: dict[str, Build] = {
    build.__name__: build
    for build in (
        commits, two_savers_one_gc, one_saver_two_gcs, two_gcs, saver_beside_gc, polite_gc, two_polite_gcs, adoption,
        repack, republishing, reader_beside_repack, pinned_reader, ranks, trimmed_roots, durable_save, durable_gc,
    )
}  # fmt: skip

MUTANTS: list[tuple[Build, tuple[str, ...]]] = [
    (commits, ("create exclusive",)),
    (commits, ("read back",)),
    (commits, ("keep after unknown outcome",)),
    (saver_beside_gc, ("floor",)),
    (saver_beside_gc, ("raise floor",)),
    (saver_beside_gc, ("epoch before root", "named")),
    (two_savers_one_gc, ("check after EEXIST",)),
    (saver_beside_gc, ("two phases",)),
    (two_savers_one_gc, ("unlist",)),
    (saver_beside_gc, ("rescue", "live at release")),
    (adoption, ("clear after delete",)),
    (polite_gc, ("lease before root",)),
    (polite_gc, ("objects before leases",)),
    (polite_gc, ("wait",)),
    (two_polite_gcs, ("number",)),
    (republishing, ("compare",)),
    (republishing, ("gone",)),
    (reader_beside_repack, ("ask again",)),
    (pinned_reader, ("pin before root",)),
    (pinned_reader, ("wait",)),
    (ranks, ("least epoch",)),
    (trimmed_roots, ("trimmed_to after create",)),
    (trimmed_roots, ("is it in",)),
    (trimmed_roots, ("root before remove",)),
    (trimmed_roots, ("sync before remove",)),
    (trimmed_roots, ("sync before answer",)),
    (durable_save, ("sync objects before root",)),
    (durable_save, ("sync root before answer",)),
    (durable_gc, ("sync root before delete",)),
]
"""A model and the guards that are taken away from it together: the search must find what goes wrong."""

COVERED: list[tuple[Build, str, str]] = [
    (saver_beside_gc, "rescue", "a release spares what a checkpoint needs by then"),
    (saver_beside_gc, "live at release", "whoever commits takes off the list what it needs"),
    (saver_beside_gc, "named", "the floor refuses whoever could need what is gone"),
]
"""Guards that another stands behind: alone they are not missed, and why."""
