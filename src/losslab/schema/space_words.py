"""The spaces in which predictions and targets meet a loss, in words. Their shapes and values are in losslab.spaces. No torch here."""

from __future__ import annotations

from typing import NamedTuple


class SpaceWords(NamedTuple):
    """One space: its name, the kind of its targets, and what a prediction is."""

    name: str
    kind: str  # classes, yes or no, numbers, counts, boxes, quantiles, ordered classes, labels, pixels
    words: str


WORDS = {
    space.name: space
    for space in (
        SpaceWords("class_logits", "classes", "a logit for each of K classes, before the softmax [N, K]"),
        SpaceWords("class_probs", "classes", "a probability for each of K classes [N, K]"),
        SpaceWords("binary_logit", "yes or no", "the logit of yes, before the sigmoid [N]"),
        SpaceWords("binary_prob", "yes or no", "the probability of yes [N]"),
        SpaceWords("values", "numbers", "numbers [N, D]; tasks give them in spreads of the training targets"),
        SpaceWords("values_and_scale", "numbers", "a number and the log of its scale [N, D, 2]"),
        SpaceWords("log_rate", "counts", "the log of the rate of a count [N, D]"),
        SpaceWords("rate", "counts", "the rate of a count [N, D]"),
        SpaceWords("quantiles", "quantiles", "Q quantiles of each number, in the order of their levels [N, D, Q]"),
        SpaceWords(
            "cumulative_logits",
            "ordered classes",
            "the logit of being above each of the first K - 1 classes [N, K - 1]",
        ),
        SpaceWords(
            "conditional_logits",
            "ordered classes",
            "the logit of being above each of the first K - 1 classes, if not below it [N, K - 1]",
        ),
        SpaceWords("label_logits", "labels", "the logit of each of C labels, any of which may hold [N, C]"),
        SpaceWords("mask_logits", "pixels", "the logit of each pixel of a picture [N, H, W]"),
        SpaceWords("boxes", "boxes", "corners x1 y1 x2 y2 [N, 4]"),
    )
}


def of_kind(*kinds: str) -> tuple[str, ...]:
    """The names of the spaces whose targets are of some kind."""
    return tuple(space.name for space in WORDS.values() if space.kind in kinds)


BY_CLASS, YES_OR_NO = of_kind("classes"), of_kind("yes or no")
OF_CLASSES = (*BY_CLASS, *YES_OR_NO)
