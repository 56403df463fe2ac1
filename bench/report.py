"""Tables on the screen: one for each workload, and one of all shares."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.floor import Floor
from bench.storage import Cell

NOISE = (
    "Full dense Adam training is mostly noise: without knowing the optimiser nobody gets far under 0.7 of the logical "
    "bytes there. Read the GPT rows with that in mind."
)
FLOOR = (
    "The floor is an estimate by the best known predictions, tables and metadata not counted (bench/floor.py): whoever "
    "predicts better gets below it."
)


def workload_table(title: str, cells: list[Cell], absent: dict[str, str]) -> Table:
    """All peers on one workload. absent: peers that could not run, and why."""
    table = Table(title=f"{title}\n{len(cells[0].save_s)} checkpoints, {_mib(cells[0].logical_bytes)} MiB of tensors")
    for name in (
        "peer",
        "stored MiB",
        "share",
        "save sum s",
        "median s",
        "load latest s",
        "save peak MiB",
        "load peak MiB",
        "exact",
    ):
        table.add_column(name, justify="left" if name == "peer" else "right")
    for cell in cells:
        table.add_row(
            cell.peer, _mib(cell.stored_bytes), f"{cell.share:.4f}", f"{sum(cell.save_s):.2f}",
            f"{statistics.median(cell.save_s):.3f}", f"{cell.load_latest_s:.3f}", _mib(cell.save_peak_bytes),
            _mib(cell.load_peak_bytes), "yes" if cell.difference is None else f"NO: {cell.difference}",
            style="bold" if cell.peer == "ckstore" else None,
        )  # fmt: skip
    for peer, why in absent.items():
        table.add_row(peer, why, *["-"] * 7)
    return table


def share_table(cells: Iterable[Cell]) -> Table:
    """Share of logical bytes, workloads down and peers across."""
    rows = _by_workload(cells)
    peers = list(dict.fromkeys(peer for row in rows.values() for peer in row))
    table = Table("workload", *peers, title="stored bytes as a share of logical tensor bytes")
    for workload, row in rows.items():
        table.add_row(workload, *(f"{row[peer].share:.4f}" if peer in row else "-" for peer in peers))
    return table


def floor_table(cells: Iterable[Cell], floors: dict[str, Floor]) -> Table:
    """ckstore's share of each workload between the best peer's and the floor."""
    table = Table(title="ckstore between the best peer and the floor, as shares of logical tensor bytes")
    for name in ("workload", "ckstore", "best peer", "its share", "ckstore / best peer", "floor", "above the floor"):
        table.add_column(name, justify="left" if name in ("workload", "best peer") else "right")
    for workload, row in _by_workload(cells).items():
        ours, best, floor = row.get("ckstore"), best_peer(row.values()), floors[workload].share
        peer = (best.peer, f"{best.share:.4f}") if best else ("-", "-")
        ratio = ours.stored_bytes / best.stored_bytes if ours and best else None
        table.add_row(
            workload, f"{ours.share:.4f}" if ours else "-", *peer,
            "-" if ratio is None else f"{ratio:.3f}" + " (lost)" * (ratio > 1),
            f"{floor:.4f}", f"{100 * (ours.share / floor - 1):+.1f} %" if ours else "-",
        )  # fmt: skip
    return table


def _by_workload(cells: Iterable[Cell]) -> dict[str, dict[str, Cell]]:
    rows: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.workload, {})[cell.peer] = cell
    return rows


def best_peer(cells: Iterable[Cell]) -> Cell | None:
    """The exact peer, ckstore apart, that stored least."""
    peers = [cell for cell in cells if cell.peer != "ckstore" and cell.difference is None]
    return min(peers, key=lambda cell: cell.stored_bytes, default=None)


def depth_table(cells: Iterable[Cell]) -> Table:
    """Seconds ckstore needs to load each checkpoint of a workload, first to last."""
    table = Table("workload", "load seconds, first checkpoint to last", title="ckstore: load time along the chain")
    for cell in cells:
        if cell.peer == "ckstore":
            table.add_row(cell.workload, " ".join(f"{value:.2f}" for value in cell.load_s))
    return table


def console() -> Console:
    """Wide enough for the tables where the output is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=200)


def _mib(n_bytes: int | None) -> str:
    return "-" if n_bytes is None else f"{n_bytes / 2**20:.1f}"
