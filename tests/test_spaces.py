"""Each space is one object: its name, its words, what it takes, and an example that every loss of it takes."""

import pytest
import torch

from losslab import losses
from losslab.catalogue.curve_paths import PLANS
from losslab.schema import cards, compatibility
from losslab.schema.space_words import WORDS
from losslab.spaces import SPACES, check_values, meet

READS = [
    (name, space)
    for name in cards.names("loss")
    for space in compatibility.reads(cards.card("loss", name).values)
    if not cards.card("loss", name).about.get("counted")
]


def test_words_shapes_and_drawings_know_the_same_spaces() -> None:
    assert WORDS.keys() == SPACES.keys() == PLANS.keys()
    assert {space for _, space in READS} <= SPACES.keys()
    assert all(SPACES[name].name == name for name in SPACES)


@pytest.mark.parametrize("name", SPACES)
def test_an_example_lies_in_its_space_and_one_moved_out_does_not(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    pred, target = SPACES[name].example(7, 4, generator)
    met = meet(name, pred, target)
    assert len(met.pred) == 7
    check_values(name, met.pred, met.target)
    with pytest.raises(ValueError, match=r"shape|needs|boxes are"):
        meet(name, pred, target[:-1])
    wrong = met.target.clone()
    wrong[3] = torch.full_like(wrong[3], -1) if name not in ("values", "values_and_scale", "quantiles") else torch.inf
    with pytest.raises(ValueError, match=r"Target 3"):
        check_values(name, met.pred, wrong)


@pytest.mark.parametrize(("name", "space"), READS)
def test_every_loss_takes_the_example_of_each_space_that_it_reads(name: str, space: str) -> None:
    pred, target = SPACES[space].example(5, 3, torch.Generator().manual_seed(2))
    assert losses.get(name, space=space)(pred, target).isfinite()
