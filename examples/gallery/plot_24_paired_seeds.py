"""
Why compare losses on the same seeds?
=====================================

A seed decides the split, the initial weights and the order of the batches. This moves the error of all losses together. The
difference of two losses on one seed leaves it out, so fewer seeds show the same difference.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import losslab

folder, error = Path(tempfile.mkdtemp()), {}
for loss in ("mse", "huber"):
    error[loss] = np.array(
        [
            losslab.train(
                *("task=regression", "data=diabetes", "corruption=none", f"loss={loss}", f"seed={seed}"),
                *("trainer.max_epochs=8", "logger=none"),
                store=folder / f"{loss}-{seed}",
                progress=False,
            ).metrics["best/test/mae"]
            for seed in range(8)
        ]
    )

plt.figure(figsize=(7, 3))
for pair in zip(error["mse"], error["huber"], strict=True):
    plt.plot([0, 1], pair, "o-", color="grey")
plt.xticks([0, 1], ["mse", "huber"])
plt.xlim(-0.4, 1.4)
plt.ylabel("test MAE; a line is a seed")
plt.tight_layout()

paired = np.std(error["mse"] - error["huber"], ddof=1)
unpaired = np.hypot(np.std(error["mse"], ddof=1), np.std(error["huber"], ddof=1))
print(f"spread of the difference: {paired:.2f} on the same seeds, {unpaired:.2f} if each loss had seeds of its own")
assert paired < 0.7 * unpaired
