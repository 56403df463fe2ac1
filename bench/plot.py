"""One picture a workload: stored bytes against checkpoints. Needs matplotlib (the extra `plot`)."""

from __future__ import annotations

from pathlib import Path

from bench.storage import Cell


def cumulative(title: str, cells: list[Cell], path: Path) -> bool:
    """Write a PNG to `path`; False, and nothing written, if matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.2), dpi=110)
    colours = pyplot.get_cmap("tab20")
    for position, cell in enumerate(sorted(cells, key=lambda cell: -cell.stored_bytes)):
        ours = cell.peer == "ckstore"
        axes.plot(
            range(1, len(cell.cumulative_bytes) + 1), [n / 2**20 for n in cell.cumulative_bytes],
            label=f"{cell.peer} {cell.share:.3f}", linewidth=2.6 if ours else 1.3, marker=".",
            color="black" if ours else colours(position), zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set(title=title, xlabel="checkpoints", ylabel="stored MiB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(
        fontsize=7, title="peer, share of logical bytes", title_fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return True
