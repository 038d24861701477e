"""
Best epoch or last epoch?
=========================

With wrong labels a model first learns what is common, and later learns the wrong labels by heart. The accuracy on clean data
rises, and then falls. Which epoch is judged decides how much a robust loss seems to help.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import losslab

folder = Path(tempfile.mkdtemp())
plt.figure(figsize=(7, 3))
for loss in ("cross_entropy", "symmetric_ce"):
    record = losslab.train(
        *("task=multiclass", f"loss={loss}", "corruption=label_noise", "corruption.fraction=0.5"),
        *("optimizer.lr=0.01", "trainer.max_epochs=25", "logger=none"),
        store=folder / loss,
        progress=False,
    )
    curve = record.curves["val/accuracy"]
    plt.plot(range(1, len(curve) + 1), curve, label=f"{loss}, best after {record.best_epoch}")
    print(f"{loss}: best {record.metrics['best/test/accuracy']:.3f}, last {record.metrics['last/test/accuracy']:.3f}")
    if loss == "cross_entropy":
        assert curve[-1] < max(curve) - 0.05
plt.xlabel("epoch")
plt.ylabel("validation accuracy, clean labels")
plt.legend()
plt.tight_layout()
