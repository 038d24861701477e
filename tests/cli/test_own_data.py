"""`losslab inspect` and `losslab compare` as a user types them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from losslab.cli.main import main

N = 200
RNG = np.random.default_rng(2)
SMALL = ["trainer.max_epochs=2", "trainer=cpu"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    x = RNG.normal(size=N)
    frame = pd.DataFrame({"id": range(N), "x": x, "city": RNG.choice(["a", "b"], N), "price": x + RNG.normal(size=N)})
    frame.assign(rating=RNG.integers(1, 6, N)).to_csv("sales.csv", index=False)
    return tmp_path


def test_inspect_says_what_it_read_and_will_do(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "sales.csv", "--target", "price", "--write"]) == 0
    said = capsys.readouterr().out
    for expected in (
        "200 rows, 5 columns",
        "regression",
        "60% train",
        "huber",
        "it counts the rows",
        "runs to tune",
        "losslab train study=fair",
    ):
        assert expected in said, expected
    assert all(len(line) <= 80 for line in said.splitlines() if "study.losses" not in line)
    assert sorted(path.name for path in there.iterdir()) == ["sales.csv", "sales.yaml"], "nothing is trained"
    assert main(["inspect", "sales.yaml"]) == 0
    assert main(["inspect", "sales.csv", "--target", "price", "--write"]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.slow
def test_compare_ends_in_an_answer_and_code(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [
        "compare",
        "sales.csv",
        "--target",
        "price",
        "--losses",
        "mse",
        "l1",
        *SMALL,
        "--seeds",
        "6",
        "--trials",
        "2",
    ]
    assert main(typed) == 0
    said = capsys.readouterr().out
    for expected in ("est MAE", "report.html", "In your own training loop", "losses.get("):
        assert expected in said, expected
    folder = there / "runs" / "sales"
    assert (folder / "report.html").exists()
    assert "losslab compare sales.csv" in (folder / "report.html").read_text()
    assert main(["report", "runs/sales"]) == 0
    assert main(typed) == 0, "again, and nothing is trained"
    assert sorted(path.name for path in (there / "runs").iterdir()) == ["sales"]
    page = (folder / "report.html").read_text()
    assert main([*typed, "--drop", "city"]) == 0, "another comparison"
    assert "runs/sales holds another comparison; this one goes into runs/sales-2" in capsys.readouterr().out
    assert (folder / "report.html").read_text() == page
    assert (there / "runs" / "sales-2" / "report.html").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("nothing_of_this_name(pred)", "NameError"),
        ("(pred - target).abs().mean()", "gave"),
        ("(pred - target).detach().abs()", "gradient"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "compare"])
def test_a_loss_that_does_not_work_is_refused(
    there: Path, capsys: pytest.CaptureFixture[str], command: str, body: str, message: str
) -> None:
    Path("mine.py").write_text(f"def foo(pred, target):\n    return {body}\n")
    typed = ["sales.csv", "--target", "price", "--losses", "mse", "mine.py:foo", *SMALL]
    assert main([command, *typed]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in there.iterdir() if path.name != "__pycache__") == ["mine.py", "sales.csv"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["sales.csv"], "which column is to be predicted"),
        (["sale.csv", "--target", "price"], "did you mean 'sales.csv'"),
        (["sales.csv", "--target", "prize"], "did you mean 'price'"),
        (["sales.csv", "--target", "rating"], "Add --task multiclass or --task ordinal"),
        (["sales.csv", "--target", "price", "--seeds", "1"], "--seeds must be 2 or more"),
        (["sales.csv", "--target", "price", "--trials", "0"], "--trials must be 2 or more"),
        (["sales.csv", "--target", "price", "--what"], "'--what' is no option"),
        (["sales.csv", "--target", "price", "--losses", "mse", "hubber"], "hubber"),
        (["sales.csv", "--target", "price", "--budget", "soon"], "A budget is a time"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "compare"])
def test_a_wrong_request_is_one_sentence(
    there: Path, capsys: pytest.CaptureFixture[str], command: str, typed: list[str], message: str
) -> None:
    assert main([command, *typed]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith(f"losslab {command}: ")
    assert said.count("\n") == 1
    assert [path.name for path in there.iterdir()] == ["sales.csv"], "nothing is written"
