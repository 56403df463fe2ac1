"""The command line of the benchmarks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from bench import children, classes, codec, floor, gc, plot, report, results, storage, trio, verdict
from bench.cache import prepare
from bench.codecs import CODECS
from bench.peers import PEERS
from bench.workloads import ALL, WORKLOADS
from bench.workloads.common import SIZES

size_option = click.option(
    "--size", type=click.Choice(list(SIZES)), default="default", help="How big the workloads are."
)
small_option = click.option(
    "--small", "size", flag_value="small", help="Seconds instead of minutes; writes no results."
)
large_option = click.option("--large", "size", flag_value="large", help="Wider and deeper models, more checkpoints.")
out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for JSON and PNG [default: bench/results]."
)


@click.group()
def main() -> None:
    """Measure ckstore against its peers. Run from the repository root."""


@main.command("storage")
@size_option
@small_option
@large_option
@out_option
@click.option(
    "--workload", "chosen", multiple=True, type=click.Choice(list(ALL)), help="Only this one; may be repeated."
)
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)), help="Only this one; may be repeated.")
@click.option("--threads", default=1, show_default=True, help="Cores and threads that every peer gets.")
@click.option(
    "--scratch", type=click.Path(path_type=Path, exists=True), help="Where stores lie while they are measured."
)
def storage_command(
    size: str, out: Path | None, chosen: tuple, peers: tuple, threads: int, scratch: Path | None
) -> None:
    """Bytes, seconds and memory to keep all checkpoints of real training runs."""
    console, cells, floors = report.console(), [], {}
    wanted = [name for name in PEERS if not peers or name in peers]
    absent = {name: PEERS[name].missing() for name in wanted if PEERS[name].missing()}
    for workload in chosen or WORKLOADS:
        children.run(os.cpu_count() or 1, prepare, workload, size)
        usable = [peer for peer in wanted if peer not in absent]
        cells.extend(storage.measure(workload, peer, size, threads, scratch) for peer in usable)
        floors[workload] = children.run(1, floor.measure, workload, size)
        mine = [cell for cell in cells if cell.workload == workload]
        console.print(report.workload_table(ALL[workload].TITLE, mine, absent))
    console.print(report.share_table(cells), report.floor_table(cells, floors), report.FLOOR)
    console.print(report.depth_table(cells), report.NOISE)
    folder = out or (None if size == "small" else results.FOLDER)
    if folder:
        body = {"floors": {workload: found.to_dict() for workload, found in floors.items()}, "absent": absent}
        _write_storage(cells, body | {"size": size, "note": report.NOISE}, threads, folder)
    if any(cell.difference for cell in cells):
        raise SystemExit(1)


def _write_storage(cells: list[storage.Cell], body: dict[str, Any], threads: int, folder: Path) -> None:
    path = results.write("storage", threads, body | {"cells": [cell.to_dict() for cell in cells]}, folder)
    print(f"wrote {path}")
    for workload in dict.fromkeys(cell.workload for cell in cells):
        picture = path.with_name(f"{path.stem}-{workload}.png")
        if not plot.cumulative(ALL[workload].TITLE, [cell for cell in cells if cell.workload == workload], picture):
            print("no pictures: matplotlib is not installed (pip install ckstore[plot])")
            return


@main.command("codec")
@size_option
@small_option
@out_option
@click.option(
    "--codec", "chosen", multiple=True, type=click.Choice(list(CODECS)), help="Only this one; may be repeated."
)
@click.option("--kind", "kinds", multiple=True, help="Only kinds of tensors whose name holds this; may be repeated.")
@click.option("--mib", default=8, show_default=True, help="Most MiB of each kind.")
@click.option("--rounds", default=3, show_default=True, help="The best of so many counts.")
def codec_command(size: str, out: Path | None, chosen: tuple, kinds: tuple, mib: int, rounds: int) -> None:
    """Ratio and GB/s on one core, by kind of tensor, with and without hashing and checking."""
    console = report.console()
    absent = {name: CODECS[name].missing() for name in chosen or CODECS if CODECS[name].missing()}
    children.run(os.cpu_count() or 1, prepare, "steps", size)
    usable = tuple(name for name in chosen or CODECS if name not in absent)
    found = children.run(1, codec.all_rows, size, mib << 20, rounds, usable, kinds)
    found += children.run(1, trio.all_rows, size, rounds, usable, kinds)
    for kind in dict.fromkeys(row.kind for row in found):
        console.print(codec.table(kind, [row for row in found if row.kind == kind]))
    for name, why in absent.items():
        console.print(f"{name}: {why}")
    folder = out or (None if size == "small" else results.FOLDER)
    if folder:
        body = {"size": size, "rounds": rounds, "absent": absent, "rows": [codec.to_dict(row) for row in found]}
        console.print(f"wrote {results.write('codec', 1, body, folder)}")
    if not all(row.exact for row in found):
        raise SystemExit(1)


@main.command("classes")
@size_option
@small_option
@click.argument("workload", type=click.Choice(list(ALL)))
def classes_command(size: str, workload: str) -> None:
    """Where the bytes of one workload go, by class of tensor."""
    children.run(os.cpu_count() or 1, prepare, workload, size)
    sizes, least = (children.run(1, module.measure, workload, size) for module in (classes, floor))
    report.console().print(classes.table(workload, sizes, least))


@main.command("speed")
@out_option
@click.option("--gib", default=1.0, show_default=True, help="Size of the state that is timed.")
@click.option("--memory-gib", default=4.0, show_default=True, help="Size of the state whose peak memory is measured.")
@click.option("--rounds", default=3, show_default=True, help="The median of so many counts.")
@click.option("--threads", default=os.cpu_count() or 1, show_default=True, help="Cores and threads for everybody.")
@click.option(
    "--scratch", type=click.Path(path_type=Path, exists=True), help="Where files lie while they are measured."
)
def speed_command(
    out: Path | None, gib: float, memory_gib: float, rounds: int, threads: int, scratch: Path | None
) -> None:
    """Seconds and memory to save and load one big state, against torch.save and the limits that are promised."""
    console = report.console()
    times, memory = verdict.timings(gib, rounds, threads, scratch), verdict.peaks(memory_gib, threads, scratch)
    found = verdict.promises(times, memory)
    console.print(verdict.timing_table(times, gib), verdict.promise_table(found, memory_gib))
    body = {"gib": gib, "memory_gib": memory_gib, **verdict.to_dict(times, memory, found)}
    console.print(f"wrote {results.write('speed', threads, body, out or results.FOLDER)}")


@main.command("gc")
@out_option
@click.option("--checkpoints", default=10_000, show_default=True, help="Of the largest store.")
@click.option("--chunks", default=1000, show_default=True, help="Of each of its checkpoints.")
@click.option(
    "--scratch", type=click.Path(path_type=Path, exists=True), help="Where files lie while they are measured."
)
def gc_command(out: Path | None, checkpoints: int, chunks: int, scratch: Path | None) -> None:
    """What gc and a save cost beside very many checkpoints, in three synthetic stores."""
    console = report.console()
    costs = []
    for shape in ((checkpoints // 10, chunks // 10), (checkpoints // 10, chunks), (checkpoints, chunks)):
        with tempfile.TemporaryDirectory(prefix="ckstore-bench-", dir=scratch) as folder:
            children.run(1, gc.build, Path(folder) / "store", *shape)
            costs.append(children.run(1, gc.measure, Path(folder) / "store", *shape))
    console.print(gc.table(costs))
    console.print(f"wrote {results.write('gc', 1, gc.to_dict(costs), out or results.FOLDER)}")


if __name__ == "__main__":
    main(prog_name="python -m bench")
