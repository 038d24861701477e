"""
Labels are wrong: what does GCE do?
===================================

Cross-entropy pulls hardest at the samples that the model finds least likely. With wrong labels these are often the wrong ones.
Generalized cross-entropy (Zhang and Sabuncu, 2018) multiplies the pull by p^q, so that such samples count for little.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from losslab import LossClassifier, losses

p = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
pull = {}
for name in ("cross_entropy", "generalized_ce"):
    logit = torch.stack([(p / (1 - p)).log(), torch.zeros_like(p)], 1).requires_grad_()
    value = losses.get(name, space="class_logits").per_sample(logit, torch.zeros(199, dtype=torch.long))
    pull[name] = -torch.autograd.grad(value.sum(), logit)[0][:, 0]

inputs, labels = load_digits(return_X_y=True)
rng = np.random.default_rng(3)
order = rng.permutation(len(labels))
train, test = order[:1000], order[1000:]
wrong = labels[train].copy()
hit = rng.random(1000) < 0.4
wrong[hit] = (wrong[hit] + rng.integers(1, 10, hit.sum())) % 10
accuracy = {
    name: LossClassifier(name, lr=0.01, steps=400, random_state=0)
    .fit(inputs[train], wrong)
    .score(inputs[test], labels[test])
    for name in pull
}

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
for name, curve in pull.items():
    left.plot(p, curve, label=name)
left.set(xlabel="probability of the label", ylabel="pull of a sample")
left.legend(fontsize=8)
right.bar(list(accuracy), list(accuracy.values()), color=["C0", "C1"])
right.set(ylabel="test accuracy, 40 % wrong labels", ylim=(0, 1))
figure.tight_layout()

print({name: round(value, 3) for name, value in accuracy.items()})
assert accuracy["generalized_ce"] > accuracy["cross_entropy"] + 0.03

# %%
# This is one seed at one rate. The study :doc:`label_noise </experiments/label_noise/README>` tunes the losses and says how sure
# the order is.
