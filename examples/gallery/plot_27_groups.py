"""
My rows come in groups: which split?
====================================

Here 40 machines have 10 rows each, and the level of a machine is its own. A random split puts rows of one machine into training and
into test, so a model that knows the machine by heart looks good. A split by group asks about new machines.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

from losslab import LossRegressor

rng = np.random.default_rng(10)
machine = np.repeat(np.arange(40), 10)
traits = rng.normal(size=(40, 3))[machine]  # what is measured of a machine, the same in all its rows
y = rng.normal(0, 2, 40)[machine] + rng.normal(0, 0.3, 400)
model = LossRegressor("l1", lr=0.02, steps=120, random_state=0)
error = {
    "random rows": -cross_val_score(
        model, traits, y, cv=KFold(3, shuffle=True, random_state=0), scoring="neg_mean_absolute_error"
    ),
    "whole groups": -cross_val_score(
        model, traits, y, groups=machine, cv=GroupKFold(3), scoring="neg_mean_absolute_error"
    ),
}

plt.figure(figsize=(7, 2.8))
plt.boxplot(error.values(), orientation="horizontal", tick_labels=list(error))
plt.xlabel("test MAE of three folds")
plt.tight_layout()

print({split: round(float(values.mean()), 2) for split, values in error.items()})
assert error["whole groups"].mean() > 1.5 * error["random rows"].mean()

# %%
# `losslab.compare(X, y, groups="machine")` and `losslab compare FILE --group machine` keep groups whole.
