"""From records to the tables of a report: what is missing, mixed, unpaired or not as chosen is refused or said."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from losslab import Record
from losslab.errors import BadRequest
from losslab.report.collect import ReportOptions, results
from losslab.report.results import Results
from support.made_up_studies import asked, bowl, conducted, sweep

LEVELS = ("+study.axes.corruption.fraction=[0,0.2]", "study.seeds=3")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return conducted(asked(*LEVELS))


def test_the_tables_hold_every_run_trial_and_choice(records: list[Record]) -> None:
    made = results(records)
    assert (made.name, made.conditions, made.losses, made.reference) == (
        "study",
        ["tuned", "shared"],
        ["mse", "l1"],
        "mse",
    )
    assert len(made.runs) == 2 * 2 * 2 * 3
    assert list(made.settings.index) == ["fraction=0", "fraction=0.2"]
    assert list(made.settings["corruption.fraction"]) == [0, 0.2]
    assert len(made.trials) == 2 * 16 * 3
    assert dict(zip(made.choices["loss"], made.choices["trials"], strict=True)) == {"mse": 16, "l1": 16}
    shared = made.runs[(made.runs["condition"] == "shared") & (made.runs["loss"] == "mse")]
    assert shared["value"].unique() == pytest.approx(1 + math.log10(0.003 / 0.01) ** 2)
    assert set(made.runs["constant"]) == {4.0}
    assert set(made.curves.groupby(["condition", "loss", "setting", "seed"]).size()) == {1}
    assert made.failures.empty
    assert made.notes == []
    assert any("16 trials for each loss" in sentence for sentence in made.protocol)
    assert made.provenance["Seeds"] == "0 to 2, 1000000 to 1000002"


def test_the_order_of_the_records_does_not_matter(records: list[Record]) -> None:
    one, other = results(records), results(records[::-1])
    assert one.runs.equals(other.runs)
    assert one.choices.set_index("loss").sort_index().equals(other.choices.set_index("loss").sort_index())


def test_records_alone_make_the_same_tables_after_a_round_trip(records: list[Record], tmp_path: Path) -> None:
    from losslab import read_records

    for number, record in enumerate(records):
        (tmp_path / f"{number:03}").mkdir()
        record.write(tmp_path / f"{number:03}")
    read = results(read_records(tmp_path))
    assert read.runs.equals(results(records).runs)
    assert read.provenance == results(records).provenance


def test_runs_that_are_missing_are_rows_and_a_sentence(records: list[Record]) -> None:
    made = results([record for record in records if record.seed != 2])
    assert (made.runs["status"] == "missing").sum() == 8
    assert "not finished: 8 of 24 runs are missing" in made.notes[0]


def test_a_run_that_diverged_stays_without_a_value_and_is_listed() -> None:
    def value(request: dict[str, Any]) -> float:
        fresh = request["seed"] == 1
        return math.nan if fresh and request["loss"]["name"] == "mse" else 1 + request["optimizer"]["lr"]

    made = results(conducted(asked(*LEVELS), value))
    lost = made.runs[made.runs["status"] == "diverged"]
    assert len(lost) == 4
    assert lost["value"].isna().all()
    assert set(made.failures["phase"]) == {"confirm"}
    assert list(made.failures["reason"].unique()) == ["not finite"]


def refused(records: list[Record], asked_for: ReportOptions | None = None) -> str:
    with pytest.raises(BadRequest) as error:
        results(records, asked_for)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_mixtures_are_refused_unless_asked_for(records: list[Record]) -> None:
    part = records[0].study
    assert part
    other = replace(records[0], study=part | {"study": part["study"] | {"name": "another"}})
    assert "different studies (another, study)" in refused([*records, other])
    assert "different studies (a plain sweep, study)" in refused([*records, replace(records[0], study=None)])
    assert "different commits of losslab (abc, def)" in refused(
        [replace(records[0], commit="abc"), replace(records[1], commit="def")]
    )
    assert "different tasks" in refused([*records, replace(records[0], task="bbox")], ReportOptions(mix=True))
    mixed = results([*records, other], ReportOptions(mix=True))
    assert mixed.conditions == ["asked"]
    assert "Mixed on request (--mix): the records belong to different studies" in mixed.notes[0]


def test_a_run_that_is_there_twice_is_refused_unless_asked_for(records: list[Record]) -> None:
    assert "is there twice" in refused([*records, records[-1]])
    made = results([*records, records[-1]], ReportOptions(mix=True))
    assert len(made.runs) == 24
    assert made.notes == ["1 copies of runs are left out."]


def test_forms_of_one_study_need_to_be_told_which_was_the_last(records: list[Record]) -> None:
    later = asked("+study.axes.corruption.fraction=[0,0.2]", "study.seeds=2", "study.question=Another?")
    both = [*records, *(record for record in conducted(later) if record.seed == 0 and record.study)]
    assert "different forms of one study" in refused(both, ReportOptions(mix=True))


def test_runs_of_an_earlier_form_are_left_out_and_counted(records: list[Record]) -> None:
    later = asked("+study.axes.corruption.fraction=[0,0.2,0.4]", "study.seeds=3")
    new = [record for record in conducted(later) if record.config["corruption"]["fraction"] == 0.4]
    made = results([*records, *new], None, later)
    assert f"{len(records)} runs below the folder belong to an earlier form" in made.notes[0]
    assert (made.runs["status"] == "missing").sum() == 24


def test_what_only_a_damaged_record_holds_is_left_out_or_refused(records: list[Record]) -> None:
    first = records[0]
    assert first.study
    assert first.study["phase"] == "tune"
    for odd in ({"loss": "l1.5"}, {"at": "nowhere"}):
        made = results([replace(first, study=first.study | odd), *records[1:]])
        assert any(note.startswith("1 runs below the folder belong to an earlier form") for note in made.notes)
    tuned = conducted(asked("study.losses=[huber,l1]", "study.seeds=3"), bowl(huber=0.01, l1=0.001))
    trial = next(record for record in tuned if record.loss == "huber")
    odd = [replace(record, loss_params={"delta": []}) if record is trial else record for record in tuned]
    assert refused(odd) == "The record of a trial of huber holds [] for 'delta', which cannot be."


def test_an_unknown_metric_or_reference_is_refused(records: list[Record]) -> None:
    assert "There is no metric 'maee' of task 'regression' (did you mean 'mae'?)" in refused(
        records, ReportOptions(metric="maee")
    )
    assert "one of the losses compared (mse, l1), and 'huber' is not" in refused(
        records, ReportOptions(reference="huber")
    )
    assert "There are no records" in refused([])


def test_runs_that_are_not_paired_are_named(records: list[Record]) -> None:
    broken = [
        replace(record, pairing=record.pairing | {"order": "x"}) if record.loss == "l1" and record.seed == 1 else record
        for record in records
    ]
    notes = results(broken).notes
    assert notes == [
        "Runs of one setting and seed are not paired: they differ in order ('fraction=0' (seed 1) and 'fraction=0.2' (seed 1))."
    ]


def test_records_from_several_versions_of_data_or_model_are_refused_in_one_sentence(records: list[Record]) -> None:
    for name, what in (
        ("data", "data=friedman data.rows="),
        ("source/model", "model="),
        ("source/weight", "data.weight=none"),
    ):
        mixed = [
            replace(record, pairing=record.pairing | {name: "x"}) if record.loss == "l1" else record
            for record in records
        ]
        said = refused(mixed)
        assert said.startswith(f"The records were made from different versions of {what}")
        assert said.endswith("overwrite=true trains the old ones again, --mix reports on them together.")
        first, *others = results(mixed, ReportOptions(mix=True)).notes
        assert first.startswith("Mixed on request (--mix): the records were made from different versions")
        assert len(others) == (name == "data"), "the hashes of ten pairs are one sentence"


def test_runs_at_another_rate_than_the_chosen_are_named(records: list[Record]) -> None:
    def slow(record: Record) -> Record:
        if (
            record.study
            and record.study["phase"] == "confirm"
            and record.study["arms"] == ["tuned"]
            and record.loss == "l1"
        ):
            return replace(record, optimizer=record.optimizer | {"lr": 0.5})
        return record

    assert results([slow(record) for record in records]).notes == [
        "The runs of `l1` at tuned rates are not at the learning rate that its trials chose."
    ]


def test_an_edge_is_said() -> None:
    made = results(conducted(asked("study.tuning.widen=0", "study.seeds=2"), bowl(mse=1e-9, l1=0.003)))
    assert made.notes == [
        "The best trial of `mse` is at the lowest learning rate that was tried, so its optimum may lie beyond it."
    ]


def test_a_rate_far_outside_the_usual_range_is_said() -> None:
    """As where every higher rate does better, and the range is widened again and again."""
    study = asked("study.tuning.widen=3", "study.seeds=2")
    far = [note for note in results(conducted(study, bowl(mse=1e9, l1=0.003))).notes if "outside the range" in note]
    assert len(far) == 1
    assert "outside the range in which `adam` is usually tried (0.0001 to 0.1): 2 runs of `mse` (" in far[0]
    assert "`l1`" not in far[0]
    sweep_at = {"optimizer": {"name": "adam", "lr": 107.0}}
    records = [replace(one, optimizer=one.optimizer | sweep_at["optimizer"]) for one in sweep(("mse", 0, 2.0, 0.2))]
    assert any("1 run of `mse` (107)" in note for note in results(records).notes)
    assert not any("outside the range" in note for note in results(sweep(("mse", 0, 2.0, 0.2))).notes)


@pytest.mark.slow
def test_many_edges_are_said_in_one_sentence() -> None:
    axes = ("+study.axes.corruption.fraction=[0,0.1,0.2]", "study.tuning.at=each")
    study = asked("study.tuning.widen=0", "study.seeds=2", *axes)
    made = results(conducted(study, bowl(mse=1e-9, l1=1e-9)))
    assert made.notes == [
        "In 6 of 6 tunings the best trial lies at an edge of the range that was tried, so the optimum may lie beyond it: "
        "`mse` (3), `l1` (3). The table of tuned values says where."
    ]
    few = results(conducted(asked("study.tuning.widen=0", "study.seeds=2", *axes), bowl(mse=1e-9, l1=0.003)))
    assert len(few.notes) == 3
    assert few.notes[0].startswith(
        "The best trial of `mse` is at the lowest learning rate that was tried (tuned at fraction=0), so"
    )


def test_a_clean_validation_beside_corrupted_training_is_called_an_oracle(records: list[Record]) -> None:
    hit = [replace(record, corruption=record.corruption | {"rows_hit": {"train": 3}}) for record in records]
    assert "an oracle" in results(hit).protocol[-1]
    assert "an oracle" not in results(records).protocol[-1]


def test_a_plain_sweep_is_a_study_with_one_conditions() -> None:
    made: Results = results(
        sweep(
            ("mse", 0, 2.0, 0.2), ("mse", 1, 4.0, 0.2), ("l1", 0, 1.0, 0.2), ("l1", 1, None, 0.2), ("mse", 0, 0.5, 0.0)
        )
    )
    assert made.conditions == ["asked"]
    assert list(made.settings.index) == ["fraction=0.0", "fraction=0.2"]
    assert list(made.runs["value"])[:4] == [0.5, 2.0, 4.0, 1.0]
    assert list(made.runs["last"])[:4] == [1.0, 4.0, 8.0, 2.0]
    assert (made.runs["status"] == "diverged").sum() == 1
    assert results(sweep(("mse", 0, 2.0, 0.2)), ReportOptions(epoch="last")).runs["value"].tolist() == [4.0]


def test_seeds_that_not_every_loss_has_are_named() -> None:
    notes = results(sweep(("mse", 0, 2.0, 0.2), ("mse", 1, 4.0, 0.2), ("l1", 0, 1.0, 0.2))).notes
    assert notes == ["The losses are not compared on the same seeds: not every loss has seed 1."]


def test_losses_that_differ_in_a_hyperparameter_stand_apart() -> None:
    from losslab import compose

    selection = {"metric": "mae", "better": "min", "validation": "clean"}
    made = results(
        [
            Record.of(
                compose("loss=huber", f"loss.delta={delta}"),
                "done",
                metrics={"best/test/mae": 1.0},
                selection=selection,
            )
            for delta in (0.5, 2.0)
        ]
    )
    assert made.losses == ["huber delta=0.5", "huber delta=2.0"]
    assert list(made.settings.index) == ["one setting"]


def test_runs_that_did_not_train_are_listed() -> None:
    from losslab import compose

    skipped = Record.of(compose("loss=huber"), "skipped", "does not fit")
    made = results([*sweep(("mse", 0, 2.0, 0.1)), skipped])
    assert list(made.failures["status"]) == ["skipped"]
    assert "None of the 1 runs trained" in refused([skipped])


def test_levels_of_a_sweep_stand_in_the_order_of_their_numbers() -> None:
    levels = (0.2, 0.05, 0.0, 0.1)
    made = results(sweep(*(("mse", seed, 1.0, level) for level in levels for seed in (0, 1))))
    assert list(made.settings.index) == ["fraction=0.0", "fraction=0.05", "fraction=0.1", "fraction=0.2"]
    assert list(made.runs["setting"].unique()) == list(made.settings.index)


@pytest.mark.parametrize(("constant", "status"), [(4.0, "diverged"), (math.nan, "undefined")])
def test_a_run_without_a_finite_metric_ranks_last_unless_the_data_have_no_such_metric(
    records: list[Record], constant: float, status: str
) -> None:
    """An overflow is the run's doing and no way out of the comparison; that a test split has one class only is not."""
    from losslab.stats.summaries import ranking

    lost = {"best/test/mae": None, "constant/test/mae": None if math.isnan(constant) else constant}
    made = results(
        [
            replace(record, metrics=record.metrics | lost) if (record.loss, record.seed) == ("l1", 1) else record
            for record in records
        ]
    )
    assert set(made.runs.loc[(made.runs["loss"] == "l1") & (made.runs["seed"] == 1), "status"]) == {status}
    l1 = ranking(made.runs, "min").query("loss == 'l1'")
    assert set(l1["diverged"]) == {int(status == "diverged")}
    assert set(made.failures["reason"]) == ({"its test MAE is not finite"} if status == "diverged" else set())


def test_another_metric_or_epoch_is_shown_throughout_and_what_was_chosen_stays(records: list[Record]) -> None:
    def with_r2(record: Record) -> Record:
        found = {name.replace("mae", "r2"): 10.0 - value for name, value in record.metrics.items() if value is not None}
        last = {name: value + 100 for name, value in found.items() if name.startswith("last")}
        curves = record.curves | {"val/r2": record.curves["val/mae"]}
        return replace(record, metrics=record.metrics | found | last, curves=curves)

    plain, other = results(records), results(list(map(with_r2, records)), ReportOptions(metric="r2", epoch="last"))
    assert (other.metric, other.better, other.epoch) == ("r2", "max", "last")
    assert other.choices["lr"].tolist() == plain.choices["lr"].tolist()
    assert other.choices["value"].tolist() == pytest.approx([110 - value for value in plain.choices["value"]])
    assert other.trials["value"].tolist() == pytest.approx([110 - value for value in plain.trials["value"]])
    assert any("The trial with the best mean MAE on validation data" in sentence for sentence in other.protocol)
    assert other.protocol[-1] == "All test metrics are those of the last epoch."


def test_runs_at_a_rate_that_is_chosen_no_more_are_left_out_and_counted(records: list[Record]) -> None:
    """Trials that failed are trained anew, and may choose another rate; the runs at the old one still lie in the folder."""
    again = conducted(asked(*LEVELS), bowl(mse=0.01, l1=0.01))
    tuned = [r for r in records if r.study and r.study["phase"] == "confirm" and r.study["arms"] == ["tuned"]]
    stale = [record for record in tuned if record.loss == "l1"]
    made = results([*stale, *again])
    assert made.runs.equals(results(again).runs)
    assert made.notes == ["6 runs at learning rates that earlier trials had chosen are left out."]


def test_runs_without_their_trials_are_not_said_to_be_at_another_rate(records: list[Record]) -> None:
    assert results([r for r in records if r.study and r.study["phase"] == "confirm"]).notes == []


def test_losses_that_were_skipped_are_listed_and_not_compared() -> None:
    from losslab import compose

    skipped = Record.of(compose("loss=huber"), "skipped", "does not fit")
    made = results([skipped, *sweep(("mse", 0, 2.0, 0.1), ("l1", 0, 1.0, 0.1))])
    assert made.losses == ["mse", "l1"]
    assert made.reference == "mse"
    assert set(made.runs["loss"]) == {"mse", "l1"}
    assert made.notes == []
    assert list(made.failures["status"]) == ["skipped"]


def test_a_study_and_a_sweep_together_compare_each_run_once_and_no_trials(records: list[Record]) -> None:
    from losslab.report.analysis import find

    compared = [r for r in records if r.study and r.study["phase"] == "confirm"]
    made = results([*records, *(replace(record, study=None) for record in compared)], ReportOptions(mix=True))
    assert len(made.runs) == len(compared)
    assert set(made.runs["seed"]) == {0, 1, 2}, "no trial is among them"
    assert not find(made).ranking.empty


@pytest.mark.slow
def test_the_protocol_speaks_of_axes_only_where_there_are_some() -> None:
    plain = " ".join(results(conducted(asked("study.seeds=2"))).protocol)
    assert "one setting" not in plain
    assert "optimizer that is an axis" not in plain
    with_axes = asked("study.seeds=2", "+study.axes.optimizer=[adam,sgd]", "+study.axes.corruption.fraction=[0,0.2]")
    told = " ".join(results(conducted(with_axes)).protocol)
    assert "at optimizer=adam, fraction=0.2; optimizer=sgd, fraction=0.2" in told
    assert "optimizer that is an axis" in told


def with_data(
    records: list[Record], split: str = "of {seed}", test_rows: str = "of {seed}", **data: Any
) -> list[Record]:
    """Records of a user's table, with the hashes of a split and of its test rows for each seed; "" where none was noted."""
    return [
        replace(
            record,
            config=record.config | {"data": record.config["data"] | data},
            pairing={key: text for key, text in record.pairing.items() if key != "test_rows"}
            | {"split": split.format(seed=record.seed)}
            | ({"test_rows": test_rows.format(seed=record.seed)} if test_rows else {}),
            data=record.data | {"rows_in": {"train": 60, "val": 20, "test": 20}},
        )
        for record in records
    ]


@pytest.mark.parametrize("data", [{"path": "sales.csv"}, {"folds": 5}])
def test_seeds_that_share_rows_have_wider_intervals_and_it_is_said(records: list[Record], data: dict[str, Any]) -> None:
    plain, shared = results(with_data(records)), results(with_data(records, **data))
    assert plain.overlap == 0
    assert shared.overlap == pytest.approx(1 / 3)
    assert any("Nadeau and Bengio" in sentence for sentence in shared.protocol)
    assert not any("Nadeau and Bengio" in sentence for sentence in plain.protocol)


@pytest.mark.parametrize(
    "named",
    [
        {"test_rows": "the folder test"},
        {"test_rows": "", "parts": "part"},  # of an earlier version
        {"test_rows": "", "test_path": "holdout.csv"},
    ],
)
def test_rows_for_testing_that_the_data_name_are_no_others_for_another_seed(
    records: list[Record], named: dict[str, str]
) -> None:
    made = results(with_data(records, path="sales.csv", **named))  # the other rows are drawn anew
    assert made.overlap == 0
    assert any("not how other rows would turn out" in note for note in made.notes)
    assert not any("Nadeau and Bengio" in sentence for sentence in made.protocol)


@pytest.mark.parametrize("test_rows", ["the only ones", ""], ids=["noted", "of an earlier version"])
def test_one_split_for_all_seeds_is_said_and_not_corrected(records: list[Record], test_rows: str) -> None:
    made = results(with_data(records, "the only one", test_rows, path="sales.csv"))
    assert made.overlap == 0
    assert any("not how other rows would turn out" in note for note in made.notes)
    assert any("test on the same rows" in sentence for sentence in made.protocol)
    for others in (with_data(records, path="sales.csv"), with_data(records, "one", "one", name="anchors")):
        assert results(others).notes == []


@pytest.mark.parametrize(
    ("data", "measure"),
    [({}, "MAE"), ({"target": "price"}, "MAE of price"), ({"target": "price", "unit": "EUR"}, "MAE of price (EUR)")],
)
def test_the_target_and_its_unit_are_named(records: list[Record], data: dict[str, str], measure: str) -> None:
    made = results(with_data(records, **data))
    assert made.measure == measure
    assert replace(made, metric="r2").measure == "R2", "a share has no unit"
