"""
How do I read a comparison?
===========================

`losslab.compare` tunes each loss on the same number of trials, then trains all of them on fresh seeds. The answer says which loss to
use, by how much it is better, and what the runs do not decide. This one is small, so that it runs in seconds.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

import losslab

inputs, targets = load_diabetes(return_X_y=True)
found = losslab.compare(
    inputs,
    targets,
    ["mse", "l1", "huber"],
    task="regression",
    seeds=5,
    trials=2,
    options=["trainer.max_epochs=6", "corruption=outliers", "corruption.fraction=0.2", "logger=none"],
    store=tempfile.mkdtemp(),
    progress=False,
)
print(found.answer)

# %%
# Each pair of losses has an interval of the paired difference. Where it holds 0, the runs do not decide, and the answer names
# neither loss as better.

pairs = found.pairs()
places = np.arange(len(pairs))
plt.figure(figsize=(7, 2.6))
reach = np.abs(pairs[["low", "high"]].to_numpy().T - pairs["difference"].to_numpy())
plt.errorbar(pairs["difference"], places, xerr=reach, fmt="o", capsize=4)
plt.axvline(0, color="grey", linestyle=":")
plt.yticks(places, [f"{row.loss} minus {row.other}" for row in pairs.itertuples()])
plt.xlabel("difference in test MAE, with its corrected interval")
plt.tight_layout()

for row in pairs.itertuples():
    assert (row.verdict in ("better", "worse")) == (row.low > 0 or row.high < 0)

# %%
# The code for a training loop of your own comes with it.

print(found.snippet)
