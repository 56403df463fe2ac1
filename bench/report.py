"""Tables on the screen: one for each workload, and one of all shares."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.storage import Cell

NOISE = (
    "Full dense Adam training is mostly noise: without knowing the optimiser nobody gets far under 0.7 of the logical "
    "bytes there. Read the GPT rows with that in mind."
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
    """Share of logical bytes, workloads down and peers across; the last columns hold ckstore against the best peer."""
    rows: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.workload, {})[cell.peer] = cell
    peers = list(dict.fromkeys(peer for row in rows.values() for peer in row))
    table = Table(
        "workload", *peers, "best peer", "ckstore / best peer", title="stored bytes as a share of logical tensor bytes"
    )
    for workload, row in rows.items():
        best = best_peer(row.values())
        shares = [f"{row[peer].share:.4f}" if peer in row else "-" for peer in peers]
        ratio = f"{row['ckstore'].stored_bytes / best.stored_bytes:.3f}" if best and "ckstore" in row else "-"
        table.add_row(workload, *shares, best.peer if best else "-", ratio)
    return table


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
