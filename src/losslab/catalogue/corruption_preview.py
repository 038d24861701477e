"""What a corruption does to data, as a figure: before against after, with the rows that it hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import IO, Any

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from losslab import corruption, data
from losslab.catalogue.listing import shown
from losslab.schema import cards
from losslab.schema.space_words import OF_CLASSES

# Okabe and Ito (2008): told apart by colour-blind readers too
CLEAN, KEPT, CORRUPTED, TRUE = "#888888", "#0072B2", "#D55E00", "#009E73"
_POINTS = 1500  # that a panel shows at most
_ARROWS = 40
_PICTURES = 8
_FAR = 2  # times the range of nearly all targets: what is farther out is not shown
_COLUMNS = 11  # of a matrix, at most, where targets are shares


@dataclass(frozen=True)
class Seen:
    """A data set before and after a corruption: rows of one split, those before [n, ...] and those after."""

    request: Mapping[str, Any]
    names: tuple[str, ...]  # of the classes, or of the numbers
    split: data.Split
    rows: corruption.Corrupted
    clean: data.Data

    @property
    def parts(self) -> list[str]:
        """The splits that were named, train first; train where none was."""
        named = self.request["corruption"].get("splits", [])
        return [part for part in ("train", "val") if part in named] or ["train"]

    def counted(self, part: str) -> str:
        """How many rows of a split were corrupted, in words."""
        corrupted = self.rows.corrupted[self.split[part]]
        word = {"train": "training", "val": "validation"}[part]
        return f"{int(corrupted.sum())} of {len(corrupted)} {word} rows ({100 * float(corrupted.float().mean()):.3g} %)"

    def of(self, values: Tensor) -> Tensor:
        """The rows of the first split that was named."""
        return values[self.split[self.parts[0]]]

    @property
    def corrupted(self) -> Tensor:
        """Which of them were corrupted."""
        return self.of(self.rows.corrupted)

    @property
    def title(self) -> str:
        """What the figure shows, in a sentence."""
        asked = self.request["corruption"]
        values = ", ".join(f"{k}={shown(v)}" for k, v in asked.items() if k not in ("name", "splits"))
        of = f"{asked['name']} ({values})" if values else asked["name"]
        return f"{of} on {self.request['data']['name']}: {self.counted(self.parts[0])} corrupted"


def see(request: Mapping[str, Any]) -> Seen:
    """Applies the corruption of a checked request to its data."""
    clean, split = data.load(request["data"], request["seed"], request["task"]["name"])
    rows = corruption.corrupt(request["corruption"], clean, split, request["seed"])
    return Seen(request, clean.target_names, split, rows, clean)


@rc_context({"svg.fonttype": "none", "svg.hashsalt": "losslab", "font.sans-serif": ["DejaVu Sans", "Verdana"]})
def draw(seen: Seen, into: Path | IO[bytes], form: str = "png") -> None:
    """Writes the figure, as png or svg."""
    figure = Figure(dpi=130, layout="constrained")
    spaces, pictures = cards.card("task", seen.request["task"]["name"]).about["spaces"], seen.clean.kind == "picture"
    if "boxes" in spaces:
        _boxes(figure, seen)
    elif torch.equal(seen.of(seen.rows.targets), seen.of(seen.clean.targets)) and seen.rows.moved:
        (_pictures if pictures else _moved_inputs)(figure, seen)
    elif not set(OF_CLASSES) & set(spaces):
        _numbers(figure, seen)
    else:
        _labels(figure, seen)
    figure.suptitle(fill(seen.title, round(14 * figure.get_size_inches()[0])), fontsize=10)
    figure.savefig(into, format=form, metadata={"Date": None} if form == "svg" else None)


def _numbers(figure: Figure, seen: Seen) -> None:
    """Target before against after; and the input that says most about the target against the target."""
    figure.set_size_inches(8.6, 4.0)
    before, after = (seen.of(rows.targets)[:, 0] for rows in (seen.clean, seen.rows))
    left, right = figure.subplots(1, 2)
    _scatter(left, seen.corrupted, before, after)
    left.axline((float(before.mean()), float(before.mean())), slope=1, color="black", linewidth=0.7, zorder=0)
    left.set(xlabel=f"{seen.names[0]}, clean", ylabel=f"{seen.names[0]}, as trained on")
    column = _telling(seen)
    x, moved_x = (seen.of(rows.inputs).flatten(1)[:, column] for rows in (seen.clean, seen.rows))
    right.set(xlabel=f"input {column}, standardised", ylabel=f"{seen.names[0]}, as trained on")
    if seen.corrupted.float().mean() > 0.5 and not seen.rows.moved:  # noise: seen better by itself
        _scatter(right, seen.corrupted, x, after - before)
        right.set(ylabel=f"what was added to {seen.names[0]}")
        _limit(right, before - before.mean(), after - before)
    else:
        _scatter(right, seen.corrupted, moved_x, after)
        for row in seen.corrupted.nonzero()[:_ARROWS, 0].tolist():
            ends = ([x[row], moved_x[row]], [before[row], after[row]])
            right.plot(*ends, color=CORRUPTED, linewidth=0.5, alpha=0.4, zorder=1)
        _limit(right, before, after)
    _limit(left, before, after)
    _legend(figure, right)


def _moved_inputs(figure: Figure, seen: Seen) -> None:
    """An input before against after, and against the target."""
    figure.set_size_inches(8.6, 4.0)
    left, right = figure.subplots(1, 2)
    column = _telling(seen)
    before, after = (seen.of(rows.inputs).flatten(1)[:, column] for rows in (seen.clean, seen.rows))
    _scatter(left, seen.corrupted, before, after)
    left.axline((0, 0), slope=1, color="black", linewidth=0.7, zorder=0)
    left.set(xlabel=f"input {column}, clean", ylabel=f"input {column}, as trained on")
    target = seen.of(seen.clean.targets).reshape(len(after), -1)[:, 0].float()
    if seen.request["task"]["name"] == "binary":  # spread a little, as points on two lines would hide one another
        target = target + 0.3 * (torch.rand(len(target), generator=torch.Generator().manual_seed(0)) - 0.5)
        right.set_yticks([0, 1], seen.names)
        right.set(xlabel=f"input {column}, as trained on")
    else:
        right.set(xlabel=f"input {column}, as trained on", ylabel=seen.names[0])
    _scatter(right, seen.corrupted, after, target)
    _legend(figure, left)


def _labels(figure: Figure, seen: Seen) -> None:
    """Clean against given labels as a matrix of counts, and how many rows each class has; bars alone where rows are replaced."""
    before, after, count = seen.of(seen.clean.targets), seen.of(seen.rows.targets), len(seen.names)
    side = 1.6 + 0.36 * max(count, 6)
    if seen.rows.moved:
        figure.set_size_inches(2 * side, 0.8 * side)
        _bars(figure.subplots(), seen, before.long(), after.long(), "copies of other rows in place of rows dropped")
        return
    figure.set_size_inches(2 * side, side + 0.4)
    left, right = figure.subplots(1, 2)
    levels = after.unique().tolist()
    soft = any(value != round(value) for value in levels)
    if soft and len(levels) > _COLUMNS:
        levels = torch.linspace(0, 1, _COLUMNS).tolist()
    places = torch.tensor(levels) if soft else torch.arange(count)
    given = (after[:, None].float() - places).abs().argmin(1)
    _matrix(left, torch.bincount(before.long() * len(places) + given, minlength=count * len(places)).reshape(count, -1))
    left.set_yticks(range(count), seen.names)
    left.set_xticks(range(len(places)), [f"{place:.2g}" for place in places.tolist()] if soft else seen.names)
    left.set(ylabel="clean label", xlabel="mean vote" if soft else "label as trained on")
    guess = (after > 0.5).long() if soft else after.long()
    _bars(right, seen, before.long(), guess, "of other classes" if not soft else "with a vote against the label")


def _bars(axes: Any, seen: Seen, before: Tensor, after: Tensor, told: str) -> None:
    """Rows of each class: as they are now, with the rows that were corrupted apart, and as they were."""
    places = range(len(seen.names))
    was, kept, corrupted = (
        torch.bincount(labels, minlength=len(places)).tolist()
        for labels in (before, after[~seen.corrupted], after[seen.corrupted])
    )
    axes.bar(places, kept, color=KEPT, label="as they were")
    axes.bar(places, corrupted, bottom=kept, color=CORRUPTED, hatch="///", edgecolor="white", linewidth=0, label=told)
    axes.bar(places, was, fill=False, edgecolor="black", linewidth=1, label="clean")
    axes.set_xticks(places, seen.names)
    axes.set(xlabel="label as trained on", ylabel="rows")
    axes.set_ylim(top=1.25 * max(map(max, (was, [a + b for a, b in zip(kept, corrupted, strict=True)]))))
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def _matrix(axes: Any, counts: Tensor) -> None:
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(share.numpy(), vmin=0, vmax=1, cmap="Blues", aspect="auto")
    size = 8 if counts.shape[1] > 5 else 10
    for true, row in enumerate(counts.tolist()):
        for label, count in enumerate(row):
            colour = "white" if share[true, label] > 0.5 else "black" if count else "#AAAAAA"
            axes.text(label, true, str(count), ha="center", va="center", fontsize=size, color=colour)


def _pictures(figure: Figure, seen: Seen) -> None:
    """Pictures before, above, and after, below."""
    figure.set_size_inches(8.6, 2.9)
    rows = _some(seen.corrupted)
    for axes, row in zip(figure.subplots(2, _PICTURES).T, rows, strict=False):
        for place, values in enumerate((seen.clean.inputs, seen.rows.inputs)):
            axes[place].imshow(*_shown(seen.of(values)[row]), vmin=0, vmax=1)
    _bare(figure)
    for axes, word in zip((figure.axes[0], figure.axes[_PICTURES]), ("clean", "as trained on"), strict=True):
        axes.set_ylabel(word)


def _boxes(figure: Figure, seen: Seen) -> None:
    """Pictures with their clean box and the one given."""
    figure.set_size_inches(8.6, 4.9)
    rows = _some(seen.corrupted)
    handles: list[Any] = []
    for axes, row in zip(figure.subplots(2, _PICTURES // 2).flat, rows, strict=False):
        axes.imshow(*_shown(seen.of(seen.rows.inputs)[row]), vmin=0, vmax=1, extent=(0, 1, 1, 0))
        looks: tuple[tuple[data.Data | corruption.Corrupted, str, str, str], ...]
        looks = ((seen.clean, TRUE, "-", "clean box"), (seen.rows, CORRUPTED, "--", "box as trained on"))
        handles = []
        for boxes, colour, stroke, word in looks:
            x1, y1, x2, y2 = seen.of(boxes.targets)[row].tolist()
            frame = Rectangle(
                (x1, y1), x2 - x1, y2 - y1, fill=False, color=colour, linewidth=2, linestyle=stroke, label=word
            )
            frame.set_clip_on(False)  # else a side on the border is half as wide
            handles.append(axes.add_patch(frame))
    _bare(figure)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def _shown(picture: Tensor) -> tuple[NDArray[Any], str | None]:
    """A picture [channels, height, width] as matplotlib shows it, and its colours: of other than three channels the first, as ink."""
    return (picture.permute(1, 2, 0).numpy(), None) if len(picture) == 3 else (picture[0].numpy(), "gray_r")


def _bare(figure: Figure) -> None:
    for axes in figure.axes:
        axes.set_xticks([])
        axes.set_yticks([])


def _some(corrupted: Tensor) -> list[int]:
    """A few rows, those that were corrupted first."""
    return torch.argsort((~corrupted).int(), stable=True)[:_PICTURES].tolist()


def _scatter(axes: Any, corrupted: Tensor, x: Tensor, y: Tensor) -> None:
    corrupted, x, y = corrupted[:_POINTS], x[:_POINTS], y[:_POINTS]
    if not corrupted.all():
        axes.scatter(x[~corrupted], y[~corrupted], s=6, color=CLEAN, linewidths=0, label="rows left as they were")
    if corrupted.any():
        axes.scatter(
            x[corrupted], y[corrupted], s=14, color=CORRUPTED, marker="x", linewidths=0.8, label="corrupted rows"
        )
    axes.grid(alpha=0.25)


def _limit(axes: Any, before: Tensor, after: Tensor) -> None:
    """Where a few targets lie very far out, shows the others, and says how many are out of sight."""
    after = after[:_POINTS]
    width = float(before.max() - before.min())
    low, high = (float(after.quantile(q)) for q in (0.02, 0.98))
    low, high = min(low, float(before.min())) - width / 2, max(high, float(before.max())) + width / 2
    beyond = int(((after < low) | (after > high)).sum())
    if beyond and float(after.max() - after.min()) > _FAR * (high - low):
        axes.set_ylim(low, high)
        axes.text(0.02, 0.02, f"{beyond} rows lie out of sight", transform=axes.transAxes, fontsize=8)


def _legend(figure: Figure, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _telling(seen: Seen) -> int:
    """The number of the input that a corruption is bound to, or of the one that goes best with the clean target."""
    asked = seen.request["corruption"]
    if asked.get("grows_with") == "input":
        return int(asked["column"])
    x = seen.of(seen.clean.inputs).flatten(1)
    y = seen.of(seen.clean.targets).reshape(len(x), -1)[:, :1].float()
    return int(torch.corrcoef(torch.cat([y, x], 1).T)[0, 1:].abs().nan_to_num().argmax())
