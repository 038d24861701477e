"""
Does the loss change how confident a model is?
==============================================

Cross-entropy asks for probabilities that fit; label smoothing and focal loss ask for smaller ones. The picture has the mean
probability of the predicted class beside the accuracy on test data: where the first is lower, the model says less than it knows.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from losslab import LossClassifier

inputs, labels = load_digits(return_X_y=True)
train, test = slice(0, 1000), slice(1000, None)
figures = {}
for label, loss, params in (
    ("cross_entropy", "cross_entropy", {}),
    ("smoothing 0.2", "cross_entropy", {"label_smoothing": 0.2}),
    ("focal", "focal", {"gamma": 3.0}),
):
    made = LossClassifier(loss, loss_params=params, steps=300, random_state=0).fit(inputs[train], labels[train])
    sure = made.predict_proba(inputs[test]).max(1).mean()
    figures[label] = (float(sure), made.score(inputs[test], labels[test]))

plt.figure(figsize=(7, 3))
for label, (sure, accuracy) in figures.items():
    plt.scatter(sure, accuracy, s=60, label=label)
    print(f"{label}: confidence {sure:.2f}, accuracy {accuracy:.2f}")
plt.axline((0.9, 0.9), slope=1, color="grey", linestyle="--")
plt.xlabel("mean confidence")
plt.ylabel("accuracy")
plt.legend()
plt.tight_layout()

assert figures["smoothing 0.2"][0] < figures["cross_entropy"][0] - 0.05
assert figures["focal"][0] < figures["cross_entropy"][0]
