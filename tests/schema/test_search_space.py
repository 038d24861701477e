"""What the cards say of tuning: the notation, the values of a dimension, its edges, and the points in it."""

import dataclasses
import io
import math
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
import torch
from rich.console import Console

from losslab import BadRequest, losses
from losslab.catalogue import gallery, listing
from losslab.schema import cards as schema_cards
from losslab.schema.search_space import Dimension, of_loss, of_optimizer, parse
from losslab.study.searchers import points
from support.examples import made, sample

DIMENSIONS = [(name, dimension) for name in losses.names() for dimension in of_loss(name)]
SHARES = [step / 400 for step in range(401)]
each_dimension = pytest.mark.parametrize(
    ("name", "dimension"), DIMENSIONS, ids=[f"{name}.{dimension.key}" for name, dimension in DIMENSIONS]
)

# ---- notation


@pytest.mark.parametrize(
    ("text", "kind", "low", "high", "told"),
    [
        ("log [0.1, 10]", "log", 0.1, 10, "k 0.1 to 10 (log)"),
        ("log [1e-4, 1e-1]", "log", 1e-4, 0.1, "k 0.0001 to 0.1 (log)"),
        (" [-2,5] ", "uniform", -2, 5, "k -2 to 5"),
        ("int [1, 8]", "int", 1, 8, "k 1 to 8 (whole)"),
        ("log int [1, 100]", "log int", 1, 100, "k 1 to 100 (log, whole)"),
    ],
)
def test_a_range_is_read(text: str, kind: str, low: float, high: float, told: str) -> None:
    found = parse("k", text)
    assert (found.key, found.kind, found.low, found.high, found.choices) == ("k", kind, low, high, ())
    assert found.in_words == told


def test_choices_are_words_or_numbers() -> None:
    assert parse("k", "v1 | v3").choices == ("v1", "v3")
    found = parse("k", "0.9|0.99 | 1").choices
    assert found == (0.9, 0.99, 1)
    assert [type(choice) for choice in found] == [float, float, int]
    assert parse("k", "v1 | v2 | v3").in_words == "k v1, v2 or v3"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.1 to 10", "cannot be read; write it as 'log [0.1, 10]'"),
        ("log (0.1, 10]", "cannot be read"),
        ("log [a, 10]", "cannot be read"),
        ("log [0.1, inf]", "cannot be read"),
        ("[nan, 1]", "cannot be read"),
        ("[1, 2, 3]", "cannot be read"),
        ("one", "cannot be read"),
        ("a | {", "cannot be read"),
        ("a |", "cannot be read"),
        ("", "cannot be read"),
        ([0, 5], "cannot be read"),
        (3.0, "cannot be read"),
        (None, "cannot be read"),
        ("log [10, 0.1]", "from a smaller number to a larger one"),
        ("[1, 1]", "from a smaller number to a larger one"),
        ("log [0, 1]", "begin above 0"),
        ("log int [0, 9]", "begin above 0"),
        ("int [1.5, 3]", "between whole numbers"),
        ("a | b | a", "each choice once"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text: object, says: str) -> None:
    with pytest.raises(BadRequest, match=r"^The search space of 'k', .*\.$") as refusal:
        parse("k", text)
    assert says in str(refusal.value)


# ---- values


def test_a_log_scale_has_its_middle_at_the_geometric_mean_and_both_ends() -> None:
    found = parse("k", "log [0.1, 10]")
    assert [found.at(share) for share in (0, 0.25, 0.5, 1)] == [0.1, 0.3162, 1, 10]


def test_an_even_scale_has_its_middle_at_the_mean_and_both_ends() -> None:
    assert [parse("k", "[-1, 5]").at(share) for share in (0, 0.5, 1)] == [-1, 2, 5]


def test_equal_values_are_equal_texts_and_never_leave_the_range() -> None:
    found = parse("k", "[0.9, 0.99999]")
    assert found.at(1) == 0.99999
    assert {len(str(found.at(share))) for share in SHARES[:-1]} <= {3, 4, 5, 6}
    assert str(parse("k", "log [1e-4, 1e-1]").at(1 / 3)) == "0.001"


@pytest.mark.parametrize(
    ("text", "values"), [("int [1, 8]", [*range(1, 9)]), ("v1 | v2 | v3", ["v1", "v2", "v3"]), ("1 | 2", [1, 2])]
)
def test_whole_numbers_and_choices_share_the_interval_evenly(text: str, values: list[object]) -> None:
    found = parse("k", text)
    drawn = [found.at((step + 0.5) / 240) for step in range(240)]
    assert Counter(drawn) == {value: 240 // len(values) for value in values}
    assert [found.at(0), found.at(1)] == [values[0], values[-1]]
    assert {type(found.at(share)) for share in SHARES} == {type(values[0])}


def test_whole_numbers_on_a_log_scale_have_their_part_of_the_logarithm() -> None:
    found = parse("k", "log int [1, 100]")
    drawn = Counter(found.at((step + 0.5) / 10_000) for step in range(10_000))
    assert {min(drawn), max(drawn)} == {1, 100}
    assert drawn[1] / 10_000 == pytest.approx(math.log(1.5 / 0.5) / math.log(100.5 / 0.5), abs=1e-3)
    assert [found.at(0), found.at(1)] == [1, 100]


@each_dimension
def test_values_rise_from_end_to_end(name: str, dimension: Dimension) -> None:
    values = [dimension.at(share) for share in SHARES]
    if dimension.choices:
        assert list(dict.fromkeys(values)) == list(dimension.choices)
    else:
        assert values[0] == dimension.low
        assert values[-1] == dimension.high
        assert all(one <= other for one, other in pairwise(values))


# ---- edges


@pytest.mark.parametrize(
    ("text", "value", "side"),
    [
        ("log [0.1, 10]", 0.1, "lower"),
        ("log [0.1, 10]", 0.13, "lower"),
        ("log [0.1, 10]", 0.14, ""),  # the first sixteenth of two decades ends at 0.1334
        ("log [0.1, 10]", 7.4, ""),
        ("log [0.1, 10]", 7.6, "upper"),
        ("log [0.1, 10]", 50, "upper"),
        ("log [0.1, 10]", 0, "lower"),
        ("[0, 16]", 0.9, "lower"),
        ("[0, 16]", 1.1, ""),
        ("[0, 16]", 14.9, ""),
        ("[0, 16]", 15.1, "upper"),
        ("int [1, 8]", 1, "lower"),
        ("int [1, 8]", 2, ""),
        ("int [1, 8]", 8, "upper"),
        ("log int [1, 100]", 1, "lower"),
        ("log int [1, 100]", 2, ""),
        ("v1 | v3", "v1", ""),
        ("1 | 2", 2, ""),
    ],
)
def test_the_edge_is_the_outermost_sixteenth(text: str, value: float | str, side: str) -> None:
    assert parse("k", text).edge(value) == side


@pytest.mark.parametrize(
    ("text", "valid", "side", "low", "high"),
    [
        ("log [0.1, 10]", "(0, inf)", "upper", 10, 100),
        ("log [0.1, 10]", "(0, inf)", "lower", 0.01, 0.1),
        ("log [0.1, 10]", "", "lower", 0.01, 0.1),
        ("[0, 5]", "", "lower", -2.5, 0),
        ("[0, 5]", "[-1, inf)", "lower", -1, 0),
        ("[0.5, 0.9]", "[0, 1)", "upper", 0.9, 0.95),
        ("[0.5, 0.9]", "[0, 1]", "upper", 0.9, 1),
        ("int [1, 8]", "[1, inf)", "upper", 9, 12),
        ("int [4, 8]", "[3, inf)", "lower", None, None),  # one number is no range
        ("log int [2, 32]", "[0, inf)", "lower", None, None),  # 1 alone
        ("log int [4, 64]", "[0, inf)", "lower", 1, 3),
        ("log int [3, 300]", "[0, inf)", "lower", 1, 2),  # 0 has no logarithm
        ("log int [2, 50]", "", "upper", 51, 250),
    ],
)
def test_a_range_is_widened_by_half_its_width_as_far_as_is_valid(
    text: str, valid: str, side: str, low: float | None, high: float | None
) -> None:
    piece = parse("k", text, valid).widened(side)
    assert (piece and (piece.key, piece.low, piece.high)) == (None if low is None else ("k", low, high))


@pytest.mark.parametrize(
    ("text", "valid", "side"),
    [
        ("[0, 0.5]", "[0, 0.5]", "upper"),
        ("[0, 1]", "[0, 2]", "lower"),
        ("1 | 2 | 3 | 4", "", "upper"),
        ("[0, 1]", "", ""),
    ],
)
def test_where_nothing_is_left_there_is_no_piece(text: str, valid: str, side: str) -> None:
    assert parse("k", text, valid).widened(side) is None


@each_dimension
def test_what_a_range_is_widened_to_is_new_and_valid(name: str, dimension: Dimension) -> None:
    for side in ("lower", "upper"):
        piece = dimension.widened(side)
        if piece:
            assert piece.low >= dimension.high or piece.high <= dimension.low
            for share in (0, 0.5, 1):
                losses.get(name, **{dimension.key: piece.at(share)})


# ---- cards

OUTSIDE: dict[str, str] = {}  # "loss.key" -> why its default lies outside its search space
NOT_TUNED = {  # what follows from the data, or from what is asked for, and limits that only keep numbers finite
    "counts", "class_weights", "pos_weight", "transition", "width", "limit", "iterations", "log_zero", "momentum", "terms",
}  # fmt: skip


@pytest.mark.parametrize("name", losses.names())
def test_a_card_searches_few_of_its_own_keys(name: str) -> None:
    card, dimensions = schema_cards.card("loss", name), of_loss(name)
    assert set(card.about.get("search", {})) <= set(card.values) - {"name"}
    assert len(dimensions) <= 3, "sixteen trials tune no more"
    keys = {dimension.key for dimension in dimensions}
    assert not keys & NOT_TUNED
    assert not any(isinstance(card.values[key], list) for key in keys)


def test_what_says_what_is_estimated_is_not_tuned() -> None:
    assert of_loss("quantile") == of_loss("expectile") == of_loss("mpdiou") == of_loss("detr") == []
    assert [dimension.key for dimension in of_loss("smooth_quantile")] == ["kappa"]


@each_dimension
def test_the_default_lies_in_the_search_space(name: str, dimension: Dimension) -> None:
    default = schema_cards.card("loss", name).values[dimension.key]
    inside = default in dimension.choices if dimension.choices else dimension.low <= default <= dimension.high
    assert inside != (f"{name}.{dimension.key}" in OUTSIDE)


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("name", sorted({name for name, _ in DIMENSIONS}))
def test_every_searched_value_makes_a_loss_that_works(name: str, share: float) -> None:
    for space in schema_cards.card("loss", name).about["reads"]:
        loss = made(name, space, **{dimension.key: dimension.at(share) for dimension in of_loss(name)})
        pred, target = sample(space, n=50, dtype=torch.float32)
        each = loss(pred.requires_grad_(), target)
        each.backward()
        assert torch.isfinite(each)
        assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("huber", "smoothl1"),
        ("huber", "smooth_quantile"),
        ("bootstrapped_hard", "bootstrapped_soft"),
        ("epsilon_insensitive", "squared_epsilon_insensitive"),
        ("hinge", "squared_hinge"),
        ("hinge", "multi_margin"),
        ("cross_entropy", "bce_with_logits"),
    ],
)
def test_losses_of_one_kind_search_the_same_range(one: str, other: str) -> None:
    first, second = of_loss(one)[0], of_loss(other)[0]
    assert (first.kind, first.low, first.high) == (second.kind, second.low, second.high)


def test_two_scales_of_one_loss_search_the_same_losses() -> None:
    (rce,), (mae,) = of_loss("nce_rce"), of_loss("nce_mae")
    factor = -schema_cards.card("loss", "nce_rce").values["log_zero"] / 2  # from the beta of one to that of the other
    assert mae.low == pytest.approx(rce.low * factor, rel=0.1)
    assert mae.high == pytest.approx(rce.high * factor, rel=0.1)


def test_what_is_fixed_is_not_tuned() -> None:
    assert [dimension.key for dimension in of_loss("barron")] == ["alpha", "c"]
    assert [dimension.key for dimension in of_loss("barron", fixed=["alpha"])] == ["c"]
    assert of_loss("huber", fixed={"delta": 2.0}) == []
    with pytest.raises(BadRequest, match="did you mean 'huber'"):
        of_loss("hubber")


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"deltaa": "[1, 2]"}, r"no key 'loss.deltaa' \(did you mean 'loss.delta'"),
        ({"delta": "[0, 2]"}, "loss.delta must be above 0, and 0.0 is not"),
        ({"delta": "a | b"}, "loss.delta must be a number or one of"),
        ({"delta": "log [0, 2]"}, "begin above 0"),
    ],
)
def test_a_card_that_searches_what_it_does_not_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, search: dict[str, str], says: str
) -> None:
    card, real = schema_cards.card("loss", "huber"), schema_cards.card
    wrong = dataclasses.replace(card, about=card.about | {"search": search})
    monkeypatch.setattr(schema_cards, "card", lambda group, name: wrong if name == "huber" else real(group, name))
    with pytest.raises(BadRequest, match=says):
        of_loss("huber")


@pytest.mark.parametrize("name", schema_cards.names("optimizer"))
def test_an_optimizer_searches_learning_rates_about_its_own(name: str) -> None:
    found = of_optimizer(name)
    assert (found.key, found.kind) == ("lr", "log")
    assert set(schema_cards.card("optimizer", name).about["search"]) == {"lr"}
    assert found.edge(schema_cards.card("optimizer", name).values["lr"]) == ""
    assert found.widened("lower")


def test_an_optimizer_that_states_no_rates_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = dataclasses.replace(schema_cards.card("optimizer", "sgd"), about={})
    monkeypatch.setattr(schema_cards, "card", lambda group, name: bare)
    with pytest.raises(BadRequest, match="The optimizer 'sgd' states no learning rates"):
        of_optimizer("sgd")


# ---- points


@pytest.mark.parametrize("count", [1, 2, 5, 16, 24])
def test_there_are_as_many_points_as_asked_for(count: int) -> None:
    found = points(count, 3, seed=0)
    assert len(found) == count
    assert {len(point) for point in found} == {3}
    assert all(0 <= share < 1 for point in found for share in point)


def test_more_dimensions_or_more_points_leave_the_others_as_they_are() -> None:
    few = points(16, 1, seed=3)
    for dimensions in (2, 4, 16):
        assert [point[:1] for point in points(16, dimensions, seed=3)] == few
    assert points(40, 4, seed=3)[:16] == points(16, 4, seed=3)


def test_sixteen_points_have_one_in_each_sixteenth() -> None:
    found = points(32, 16, seed=1)
    for block in (found[:16], found[16:]):
        for column in zip(*block, strict=True):
            assert sorted(int(16 * share) for share in column) == list(range(16))


def test_points_follow_the_seed_alone() -> None:
    assert points(8, 2, seed=0) == points(8, 2, seed=0)
    assert points(8, 2, seed=0) != points(8, 2, seed=1)


@pytest.mark.parametrize(("count", "dimensions"), [(0, 1), (4, 17), (4, -1)])
def test_points_that_make_no_sense_are_refused(count: int, dimensions: int) -> None:
    with pytest.raises(BadRequest, match="at least one trial and at most 16 dimensions"):
        points(count, dimensions, seed=0)


# ---- what is shown, and how fast


def test_a_card_says_what_is_tuned(tmp_path: object) -> None:
    for name, words in [("huber", "tuned over: delta 0.03 to 3 (log)"), ("mse", None)]:
        written = io.StringIO()
        listing.print_card(listing.entry(name), Console(file=written, width=100))
        assert [line.strip() for line in written.getvalue().splitlines() if "tuned over" in line] == [words] * bool(
            words
        )


@pytest.mark.slow
def test_the_page_says_what_is_tuned() -> None:
    text = gallery.render([listing.entry("barron"), listing.entry("mse")], [])
    assert text.count("Tuned over") == 1
    assert "<dd>alpha -2 to 2; c 0.1 to 3 (log)</dd>" in text


def test_reading_a_search_space_waits_neither_for_torch_nor_for_scipy() -> None:
    code = (
        "import sys; from losslab.schema import cards, search_space; search_space.of_loss('huber'); "
        "cards.metrics('bbox'); print({'torch', 'scipy', 'numpy'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )
