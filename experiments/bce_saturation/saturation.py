"""Loss and gradient of `bce` and `bce_with_logits` against the logit, in four precisions.

`python experiments/bce_saturation/saturation.py` writes saturation.parquet (loss, target, precision, logit, value,
gradient), borders.csv (from which logit on the gradient of `bce` is wrong, and how) and figures/saturation.png beside itself.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import torch

from losslab import losses

HERE = Path(__file__).resolve().parent
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
COLOURS = {"float64": "tab:gray", "float32": "tab:blue", "float16": "tab:orange", "bfloat16": "tab:green"}
FARTHEST, STEP = 120, 1 / 16  # every one of these logits is exact in float16, and in bfloat16 up to 16
OFF = 0.1  # a gradient that is farther than this from the true one is counted as wrong


def measure(loss: str, target: float, precision: str) -> pd.DataFrame:
    """Value and gradient, in the logit, of a loss at logits from -120 to 120 and one target, all reckoned in `precision`.

    Returns columns loss, target, precision, logit, value, gradient; values in nats, gradients in nats per unit of the logit.
    """
    dtype = PRECISIONS[precision]
    logits = torch.arange(-FARTHEST, FARTHEST + STEP, STEP).to(dtype).unique().requires_grad_()
    pred = logits if loss == "bce_with_logits" else logits.sigmoid()
    value = losses.get(loss).per_sample(pred, torch.full_like(logits, target))
    value.sum().backward()
    assert logits.grad is not None
    columns = {"logit": logits.detach(), "value": value.detach(), "gradient": logits.grad}
    numbers = {name: column.double().numpy() for name, column in columns.items()}
    return pd.DataFrame({"loss": loss, "target": target, "precision": precision, **numbers})


def borders(found: pd.DataFrame) -> pd.DataFrame:
    """From which logit on, counted from 0, the gradient of `bce` is wrong, for mistakes and for right answers.

    Returns a row for each precision, target and direction: target, precision, answer (`right`, `wrong`), logit (the first
    that is wrong; NaN for none up to 120), gradient (what it is from there on, each kind once), true (what it should be).
    """
    rows = []
    of_bce = found[found["loss"] == "bce"]
    for (precision, target), part in of_bce.groupby(["precision", "target"], sort=False):
        for sign in (1, -1):
            side = part[part["logit"] * sign > 0].sort_values("logit", key=abs)
            true = torch.tensor(side["logit"].to_numpy()).sigmoid().numpy() - float(target)
            off = side[~((side["gradient"] - true).abs() <= OFF)]
            first = off.iloc[0] if len(off) else None
            rows.append(
                {
                    "precision": precision,
                    "target": target,
                    "answer": "right" if (sign > 0) == (target == 1) else "wrong",
                    "logit": None if first is None else first["logit"],
                    "gradient": ", ".join(f"{value:.3g}" for value in _kinds(off["gradient"])),
                    "true": None if first is None else true[side.index.get_loc(first.name)],
                }
            )
    return pd.DataFrame(rows)


def _kinds(gradients: pd.Series) -> list[float]:
    """The first gradient, and the last where it is of another kind: 0, infinite, NaN, or a number."""
    ends = gradients.iloc[[0, -1]].tolist() if len(gradients) else []
    return ends[:1] if len({str(end) for end in ends}) < 2 else ends


def draw(found: pd.DataFrame, path: Path) -> None:
    """Two columns, a negative and a positive sample; above the loss, below the gradient."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharex="col", layout="constrained")
    for column, (target, low, high) in enumerate(((0.0, -12, 42), (1.0, -112, 12))):
        for row, what in enumerate(("value", "gradient")):
            ax = axes[row, column]
            part = found[(found["target"] == target) & found["logit"].between(low, high)]
            exact = part[(part["loss"] == "bce_with_logits") & (part["precision"] == "float64")]
            ax.plot(exact["logit"], exact[what], color="black", lw=5, alpha=0.2, label="bce_with_logits, all four")
            for precision, colour in COLOURS.items():
                one = part[(part["loss"] == "bce") & (part["precision"] == precision)]
                seen = one[what].clip(-1.35, 1.35) if what == "gradient" else one[what]
                ax.plot(one["logit"], seen, color=colour, lw=1.4, label=f"bce, {precision}")
                if what == "gradient":
                    gone = one[one["gradient"].isna()]["logit"]
                    ax.plot(gone, [0.5 - target] * len(gone), "x", color=colour, ms=3, alpha=0.5)
            ax.grid(alpha=0.3)
        axes[0, column].set_title(f"target {target:.0f}")
        axes[1, column].set(xlabel="logit", ylim=(-1.45, 0.75) if target else (-0.75, 1.45))
    axes[0, 0].set_ylabel("loss, nats")
    axes[1, 0].set_ylabel("gradient (x: NaN; -1.35: -inf)")
    axes[0, 1].legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measures, writes and draws."""
    found = pd.concat(
        measure(loss, target, precision)
        for loss in ("bce", "bce_with_logits")
        for target in (0.0, 1.0)
        for precision in PRECISIONS
    )
    found = found.reset_index(drop=True)
    found.to_parquet(HERE / "saturation.parquet", index=False)
    table = borders(found)
    table.to_csv(HERE / "borders.csv", index=False, float_format="%.6g")
    print(table.to_string(index=False))
    draw(found, HERE / "figures" / "saturation.png")


if __name__ == "__main__":
    main()
