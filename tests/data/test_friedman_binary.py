"""Two overlapping classes whose best possible rule is known."""

import math

import pytest
import torch

from losslab.data.tables import friedman_binary, friedman_first


def test_classes_are_of_one_size_and_the_best_rule_gets_as_much_right_as_the_card_says() -> None:
    made = friedman_binary(rows=200_000, softness=2.0)
    assert set(made.targets.tolist()) == {0.0, 1.0}
    assert made.targets.mean().item() == pytest.approx(0.5, abs=0.005)
    best = ((friedman_first(made.inputs) > 14.4).float() == made.targets).float().mean().item()
    assert best == pytest.approx(0.8146, abs=0.004)  # the mean of max(p, 1 - p) over a million other rows


def test_the_share_of_yes_is_the_chance_that_the_card_gives() -> None:
    made = friedman_binary(rows=200_000, softness=2.0)
    value = friedman_first(made.inputs)
    for f in (10.4, 14.4, 17.4):
        near = (value - f).abs() < 0.25
        assert made.targets[near].mean().item() == pytest.approx(1 / (1 + math.exp((14.4 - f) / 2)), abs=0.03)


def test_a_sharper_border_leaves_less_to_chance_and_rows_are_the_same_each_time() -> None:
    soft, sharp = (friedman_binary(rows=2000, softness=softness) for softness in (2.0, 0.01))
    assert torch.equal(soft.inputs, sharp.inputs)
    assert ((friedman_first(sharp.inputs) > 14.4) == sharp.targets.bool()).float().mean() > 0.99
    assert torch.equal(soft.targets, friedman_binary(rows=2000, softness=2.0).targets)
