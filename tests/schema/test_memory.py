"""What no machine can hold or compute is refused in a sentence before anything is made."""

from pathlib import Path

import pytest
import torch

from losslab import compose, data
from losslab.errors import BadRequest
from losslab.fused.optimizer import StackedOptimizer
from losslab.schema import cards, check
from losslab.schema import memory as schema_memory
from losslab.training.prepare import prepare


@pytest.mark.parametrize(
    "word", ["data.noise=1e39", "corruption.magnitude=1e39", "data.noise=1e300", "optimizer.lr=1e39", "penalty.l2=1e39"]
)
def test_a_number_that_32_bits_cannot_hold_is_refused(word: str) -> None:
    with pytest.raises(BadRequest, match="must be a number that fits into 32 bits"):
        compose(word)


def unbounded() -> list[str]:
    """Every setting of the registry that is a whole number or a list of such, with a choice that has it; of equal ranges one."""
    found: dict[tuple, str] = {}
    shared = cards.card("", "config").about["ranges"]
    for group in cards.GROUPS:
        for name in cards.names(group):
            card = cards.card(group, name)
            for key, value in card.values.items():
                whole = [value] if isinstance(value, int) else value if isinstance(value, list) else []
                if whole and all(isinstance(one, int) and not isinstance(one, bool) for one in whole):
                    task = next(
                        (f"task={task}" for task in card.about.get("tasks", [])), _TASKS.get(f"{group}={name}", "")
                    )
                    word = f"{group}.{key}={'[%s]' if isinstance(value, list) else '%s'}"
                    choice = "" if group == "task" else f"{group}={name}"
                    limits = card.about.get("ranges", {}).get(key, shared.get(f"{group}.{key}", name))
                    found.setdefault((group, key, limits), " ".join(filter(None, [task, choice, word])))
    return list(found.values())


_TASKS = {
    "model=cnn": "task=multiclass",
    "loss=bi_tempered": "task=multiclass",
    "loss=taylor_ce": "task=multiclass",
    "loss=multi_margin": "task=multiclass",
}
ENORMOUS = (10**8, 2**63 - 1)


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 16 GB of memory."""
    monkeypatch.setattr(schema_memory, "memory", lambda: 16 * 10**9)


FREE = ("logger.figures", "corruption.column")  # as often as there are epochs; read by grows_with=input alone


@pytest.mark.parametrize("words", unbounded())
def test_an_enormous_whole_number_is_refused_at_once_or_costs_nothing(words: str, sixteen: None) -> None:
    for number in ENORMOUS:
        asked = (words % number).split()
        if words.rpartition(" ")[2].partition("=")[0] in FREE:
            if number < 2**63:
                prepare(check.check(compose(*asked))).pairing()
            continue
        with pytest.raises(BadRequest) as error:
            prepare(check.check(compose(*asked)))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "words", ["data.rows=100000000", "task=bbox data.rows=1000000", "task=counts data.rows=9223372036854775807"]
)
def test_rows_that_memory_cannot_hold_are_refused_by_their_size(words: str, sixteen: None) -> None:
    with pytest.raises(
        BadRequest, match=r"would take some [\d,.]+ GB of memory for the data, and this machine has 16.0 GB"
    ):
        check.check(compose(*words.split()))


def test_a_model_that_memory_cannot_hold_is_refused_by_its_parameters(sixteen: None) -> None:
    with pytest.raises(
        BadRequest, match=r"^model=mlp model.hidden=\[100000, 100000\] would take .* 10,00\d,\d{3},\d{3} parameters"
    ):
        prepare(check.check(compose("model.hidden=[100000,100000]")))
    prepare(check.check(compose("model.hidden=[300,300]")))


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = schema_memory.memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(schema_memory, "_LIMIT", limit)
    for text, memory in (("1000000\n", 10**6), ("max\n", whole)):
        limit.write_text(text)
        assert schema_memory.memory() == memory


@pytest.mark.parametrize("name", ["friedman", "friedman_binary", "friedman_counts", "scenes"])
def test_a_card_states_the_numbers_of_a_row(name: str) -> None:
    settings = {key: value for key, value in cards.card("data", name).values.items() if key not in check.NOT_OF_ROWS}
    made = data.SOURCES[name](**settings | {"rows": 20})
    numbers = made.inputs[0].numel() + made.targets[0].numel()
    assert cards.card("data", name).about["numbers"] == numbers


def test_long_runs_hash_the_order_of_their_first_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    def order(*words: str) -> str:
        return prepare(check.check(compose("data.rows=300", *words))).pairing()["order"]

    assert order("trainer.max_epochs=3") != order("trainer.max_epochs=4")
    monkeypatch.setattr("losslab.training.prepare._HASHED", 3 * 180)
    assert order("trainer.max_epochs=3") == order("trainer.max_epochs=1000000")
    assert order("trainer.max_epochs=3", "seed=1") != order("trainer.max_epochs=3")


def test_a_long_schedule_is_computed_as_it_is_needed() -> None:
    settings = [
        {"name": "adam", "lr": 0.1, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "schedule": "cosine"}
    ]
    flat = torch.nn.Parameter(torch.ones(1, 3))
    optimizer = StackedOptimizer(flat, settings, 10**12)
    flat.grad = torch.ones(1, 3)
    optimizer.step()
    optimizer.taken = 5 * 10**11  # halfway, where the cosine is at a half and Adam's estimates are no longer corrected
    optimizer.step()
    now = optimizer.taken - 1 - optimizer.start
    assert optimizer.rates[now].item() == pytest.approx(0.05)
    assert optimizer.roots[now].item() == 1
