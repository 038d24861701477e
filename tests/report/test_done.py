"""What was done, in one paragraph: what runs share, what differs, how they were tuned, and a command that gives them again."""

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from losslab import Record, compose
from losslab.report import collect, render, terminal
from losslab.report.analysis import find
from losslab.report.command_words import command_of
from losslab.report.setting_words import axis, in_words
from losslab.schema.canonical import WHERE_AND_HOW
from support.made_up_studies import asked, conducted


def runs(*overrides: str) -> list[Record]:
    """The records of a sweep, as if trained."""
    choices = [
        [f"{key}={value}" for value in values.split(";")] for key, values in (o.split("=", 1) for o in overrides)
    ]
    return [
        Record.of(
            compose(*words),
            "done",
            data={"rows_in": {"train": 600, "val": 200, "test": 200}},
            metrics={f"{which}/test/mae": 1.0 for which in ("best", "last")},
            selection={"metric": "mae", "better": "min", "validation": "clean"},
            pairing=dict.fromkeys(("data", "split", "corruption", "init", "order"), "same"),
        )
        for words in itertools.product(*choices)
    ]


def said(records: Sequence[Record]) -> str:
    return collect.results(records).done


ONE = ("loss=mse;l1", "corruption.fraction=0.2", "corruption.side=one_sided", "optimizer.lr=0.001", "seed=0;1;2")


def test_a_sweep_says_what_was_trained_on_what_and_how() -> None:
    assert said(runs(*ONE)).startswith(
        "Each of 2 losses was trained on `friedman` (1,000 rows: 600 train, 200 validation, 200 test), with the model `mlp`, "
        "Adam at a rate of 0.001, 30 epochs, batches of 64; 20 % outliers on one side among the training rows, the others clean; 3 seeds. "
        "All test metrics are those of the epoch with the best MAE on clean validation data. Command: `python train.py -m "
    )


def test_what_differs_between_runs_is_said_as_such() -> None:
    text = said(runs("loss=mse;l1", "corruption.fraction=0;0.2", "model=mlp;linear"))
    assert "with the model `mlp` or `linear`" in text
    assert "0 or 20 % outliers on both sides among the training rows" in text
    assert "The settings differ in the share of outliers (0, 0.2) and the model (mlp, linear)." in text
    text = said(runs("loss=mse", "corruption=none", "optimizer=sgd", "optimizer.momentum=0.5", "penalty.l2=0.01"))
    assert text.startswith("One loss was trained on")
    assert "SGD (momentum=0.5) at a rate of 0.03, 30 epochs, batches of 64, L2 penalty 0.01; nothing made wrong" in text
    assert "The settings differ" not in text


def test_a_study_says_how_it_was_tuned_and_what_was_typed() -> None:
    study = replace(asked("+study.axes.corruption.fraction=[0,0.2]", "study.seeds=3"), command="losslab compare x.csv")
    text = said(conducted(study))
    assert "Adam at a rate tuned for each loss and at the shared rate 0.003, 30 epochs" in text
    assert "3 fresh seeds. The settings differ in the share of outliers (0, 0.2). The learning rate" in text
    assert "was tuned for each loss, by at least 16 trials of 3 runs each on other seeds." in text
    assert text.endswith("Command: `losslab compare x.csv`.")


@pytest.mark.parametrize(
    "overrides",
    [
        ONE,
        ("loss=huber", "loss.delta=0.5;1.0", "model.hidden=[32];[64,64]", "seed=3"),
        ("task=multiclass", "data=digits", "corruption=label_noise;none", "loss=cross_entropy;brier", "seed=0;1"),
        ("loss=mse", "optimizer=sgd;adam", "trainer.max_epochs=2", "data.rows=300;400"),
    ],
)
def test_the_command_gives_these_runs_and_no_others(overrides: Sequence[str]) -> None:
    records = runs(*overrides)
    words = shlex.split(command_of(records))
    assert words[:2] == ["python", "train.py"]
    assert (words[2] == "-m") == (len(records) > 1)
    lists = [(key, values) for key, values in (word.split("=", 1) for word in words[2:] if word != "-m")]
    choices = [[f"{key}={value}" for value in split(values)] for key, values in lists]
    made = [compose(*chosen) for chosen in itertools.product(*choices)]
    assert sorted(map(decisive, made)) == sorted(decisive(record.config) for record in records)


def split(values: str) -> list[str]:
    """The values of a sweep: parted at commas outside brackets."""
    depth, parts = 0, [""]
    for letter in values:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        parts = [*parts, ""] if letter == "," and not depth else [*parts[:-1], parts[-1] + letter]
    return parts


def decisive(config: dict) -> str:
    return str(
        sorted(
            (key, sorted(map(str, (value.items() if isinstance(value, dict) else [value]))))
            for key, value in config.items()
            if key not in WHERE_AND_HOW
        )
    )


def test_no_command_is_made_up_for_runs_that_no_single_one_gives() -> None:
    records = runs("loss=mse;l1", "seed=0;1")
    assert command_of(records)
    assert command_of(records[:-1]) == ""
    mixed = [*runs("loss=mse"), *runs("loss=huber", "loss.delta=0.5")]
    assert command_of(mixed) == ""
    assert "Command" not in said(mixed)


def test_old_records_without_rows_or_hashes_are_described_too() -> None:
    old = [replace(record, data={"name": "friedman"}, pairing={}) for record in runs(*ONE)]
    assert said(old).startswith("Each of 2 losses was trained on `friedman`, with the model `mlp`, Adam at a rate")
    gone = [replace(r, config=r.config | {"model": {"name": "gone", "depth": 3}}) for r in runs(*ONE)]
    assert "with the model `gone`, Adam" in said(gone)
    assert "Command" not in said(gone)


def test_terminal_markdown_and_page_say_the_same(tmp_path: Path) -> None:
    made = collect.results(runs(*ONE))
    found, console = find(made), Console(width=10_000)
    with console.capture() as captured:
        terminal.show(made, found, console)
    page = render.write_html(made, tmp_path / "report.html", found).read_text(encoding="utf-8")
    markdown = render.write_markdown(made, tmp_path, found).read_text(encoding="utf-8")
    assert made.done in captured.get()
    assert made.done.split(" Command")[0].replace("`", "") in page.replace("<code>", "").replace("</code>", "")
    assert made.done in markdown
    assert markdown.index("**") < markdown.index(made.done) < markdown.index("## ")


def test_axes_have_names_in_words() -> None:
    assert axis("corruption.fraction", ["outliers", "none"]) == "share of outliers"
    assert axis("corruption.fraction", ["outliers", "label_noise"]) == "share of outliers and wrong labels"
    assert axis("corruption.fraction", ["mine"]) == "share of corrupted rows"
    assert axis("optimizer.lr", []) == "learning rate"
    assert axis("model.dropout_rate", []) == "dropout rate"
    words = in_words("corruption.side=one_sided, model=mlp", {"corruption.side": "side", "model": "model"})
    assert words == "outliers on one side, model: mlp"
