"""Loss and speed over the tokens seen, as pictures that a person would want to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.records import Json, write_atomically
from train.run.metrics import read_metrics

INK, BLUE, ORANGE, GREY = "#1d2430", "#2f6fde", "#e2762b", "#9aa3b2"


def plot_run(metrics: Path, folder: Path, title: str, tokens_per_step: int, yardstick: float | None) -> list[Path]:
    """Write loss.png and speed.png into `folder`; `yardstick` is a line of bits per byte to beat."""
    rows = read_metrics(metrics)
    losses = [row for row in rows if "loss" in row]
    held_out = [row for row in rows if "bits_per_byte" in row]
    if not losses:
        return []
    return [
        _plot_loss(losses, held_out, folder / "loss.png", title, tokens_per_step, yardstick),
        _plot_speed([row for row in losses if row.get("tokens_per_second")], folder / "speed.png", title,
                    tokens_per_step),
    ]  # fmt: skip


def styled_axes(title: str, rows: int = 1, columns: int = 1, *, sharex: bool = True) -> tuple[Any, Any]:
    """A figure of `rows` x `columns` axes in the house's style; to be closed by `save_figure`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {"font.size": 11, "axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK,
         "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
         "grid.color": "#e8ebf0", "axes.axisbelow": True}
    )  # fmt: skip
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(8 if columns == 1 else 5 * columns, 4.2 * rows), sharex=sharex, layout="constrained"
    )
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
    return figure, axes


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure as PNG, the same bytes for the same figure, and close it."""
    from matplotlib import pyplot

    with write_atomically(path, "wb") as file:
        figure.savefig(file, dpi=130, format="png", metadata={"Software": None})
    pyplot.close(figure)
    return path


def _millions(rows: Sequence[Json], tokens_per_step: int) -> list[float]:
    return [row["step"] * tokens_per_step / 1e6 for row in rows]


def _plot_loss(
    losses: Sequence[Json], held_out: Sequence[Json], path: Path, title: str, tokens_per_step: int,
    yardstick: float | None,
) -> Path:  # fmt: skip
    figure, axes = styled_axes(title, 2)
    top, bottom = axes
    values = [row["loss"] for row in losses]
    smooth = [sum(values[max(0, i - 9) : i + 1]) / len(values[max(0, i - 9) : i + 1]) for i in range(len(values))]
    x = _millions(losses, tokens_per_step)
    top.plot(x, values, color=GREY, linewidth=0.8, label="each logged step")
    top.plot(x, smooth, color=BLUE, linewidth=2, label="mean of the last ten")
    top.set_ylabel("training loss (nats per token)")
    top.legend(frameon=False)
    bottom.plot(
        _millions(held_out, tokens_per_step), [row["bits_per_byte"] for row in held_out], "o-", color=ORANGE,
        label="part of the held-out documents",
    )  # fmt: skip
    if yardstick is not None:
        bottom.axhline(yardstick, color=INK, linestyle="--", linewidth=1, label="Kneser-Ney 5-gram (all of them)")
    bottom.set_ylabel("bits per byte")
    bottom.set_xlabel("tokens seen (millions)")
    bottom.legend(frameon=False)
    return save_figure(figure, path)


def _plot_speed(rows: Sequence[Json], path: Path, title: str, tokens_per_step: int) -> Path:
    figure, axis = styled_axes(title)
    axis.plot(_millions(rows, tokens_per_step), [row["tokens_per_second"] for row in rows], color=BLUE, linewidth=1.5)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("tokens per second")
    axis.set_xlabel("tokens seen (millions)")
    return save_figure(figure, path)
