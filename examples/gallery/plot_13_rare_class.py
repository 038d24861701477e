"""
A rare class: weights or another loss?
======================================

Three of a hundred samples are positive. Without weights a model that always says no has an accuracy of 97 %. Class weights move the
border between the classes; focal loss changes how hard samples pull.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import recall_score

from losslab import LossClassifier

rng = np.random.default_rng(4)
y = np.r_[np.zeros(1940), np.ones(60)]
x = rng.normal(size=(2000, 2)) + 1.2 * y[:, None]
assert y.mean() == 0.03
order = rng.permutation(2000)
train, test = order[:1200], order[1200:]
recall = {}
for label, loss, weight in (
    ("plain", "bce_with_logits", None),
    ("focal", "focal", None),
    ("balanced weights", "bce_with_logits", "balanced"),
):
    made = LossClassifier(loss, class_weight=weight, lr=0.01, random_state=0).fit(x[train], y[train])
    found = made.predict(x[test])
    recall[label] = [recall_score(y[test], found, pos_label=which) for which in (0, 1)]

places = np.arange(len(recall))
plt.figure(figsize=(7, 3))
for which, word in enumerate(("common class", "rare class")):
    plt.bar(places + 0.35 * which, [pair[which] for pair in recall.values()], 0.33, label=word)
plt.xticks(places + 0.17, list(recall))
plt.ylabel("share that is found")
plt.ylim(0, 1.25)
plt.legend(ncols=2)
plt.tight_layout()

print({label: [round(value, 2) for value in pair] for label, pair in recall.items()})
assert recall["balanced weights"][1] > recall["plain"][1] + 0.3
assert recall["balanced weights"][0] < recall["plain"][0]
