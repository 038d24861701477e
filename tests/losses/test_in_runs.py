"""What losses need beside pred and target, and what the harness gives them: scales, counts, state, sums; models of a user's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from losslab import BadRequest, Record, compose, losses
from losslab.schema import canonical, loss_terms
from losslab.training.prepare import prepare

Quick = Callable[..., Record]


def test_a_list_of_the_wrong_length_is_refused_before_anything_is_written(quick: Quick, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"class_weights must hold one number, or one for each of 10 classes"):
        quick("task=multiclass", "loss=cross_entropy", "loss.class_weights=[1.0,2.0]", into="wrong")
    assert not (tmp_path / "wrong").exists()


def test_a_loss_that_reads_a_scale_starts_as_all_others(quick: Quick) -> None:
    plain, scaled = quick("loss=mse", into="a"), quick("loss=gaussian_nll", into="b")
    assert plain.pairing == scaled.pairing
    assert scaled.model["parameters"] > plain.model["parameters"]
    one, two = (prepare(compose(f"loss={loss}", "data.rows=300")) for loss in ("mse", "gaussian_nll"))
    raw, wide = one.model(one.rows.inputs), two.model(two.rows.inputs)
    torch.testing.assert_close(wide[:, :1], raw)
    assert (wide[:, 1:] == 0).all()


def test_what_a_loss_learns_and_keeps_is_trained_and_checkpointed(quick: Quick, tmp_path: Path) -> None:
    quick("loss=barron_adaptive", "trainer.max_epochs=5", "optimizer=adamw", into="learned")
    state = torch.load(tmp_path / "learned/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    learned = {key: float(value) for key, value in state.items() if key.startswith("loss.")}
    assert len(learned) == 2
    assert all(value != 0 for value in learned.values())
    quick("task=bbox", "loss=wise_iou", into="kept")
    state = torch.load(tmp_path / "kept/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert any(key.startswith("loss.") and 0 < float(value) < 1 for key, value in state.items())


def test_class_counts_are_those_of_the_training_targets() -> None:
    run = prepare(compose("task=multiclass", "loss=ldam"))
    labels = run.rows.targets[run.split["train"]]
    assert run.loss.each()[0].params["counts"] == torch.bincount(labels, minlength=10).tolist()


def test_a_sum_trains_as_the_weighted_sum_of_its_terms(quick: Quick) -> None:
    doubled = quick("loss=sum", 'loss.terms="2*mse"', "optimizer=sgd", "optimizer.lr=0.001", into="a")
    plain = quick("loss=mse", "optimizer=sgd", "optimizer.lr=0.002", into="b")
    assert doubled.metrics == pytest.approx(plain.metrics, rel=1e-4)
    mixed = quick("task=bbox", "loss=detr", into="c")
    assert (mixed.status, mixed.loss_params) == ("done", {"terms": "5*box_l1 + 2*giou"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5*", "the term '5\\*' is none"),
        ("mse +", "the term '' is none"),
        ("x*mse", "the term 'x\\*mse' is none"),
        ("0*mse", "the weight 0 must be above 0"),
        ("msee", "did you mean 'mse'"),
        ("huber(delta=-1)", "loss.delta must be above 0"),
        ("detr", "'detr' is a sum; write its terms out"),
        ("giou", "'giou' does not fit task 'regression'"),
    ],
)
def test_a_sum_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        compose("loss=sum", f'loss.terms="{text}"')


def test_a_sum_has_one_notation() -> None:
    written = compose("loss=sum", 'loss.terms="mse+1e-3*huber( delta = 0.5 )+2*l1"')["loss"]["terms"]
    assert written == "1*mse + 0.001*huber(delta=0.5) + 2*l1"
    assert loss_terms.written(loss_terms.parse(written)) == written
    defaults = compose("loss=sum", 'loss.terms="huber(delta=1.0)"')
    assert canonical.run_id(defaults) == canonical.run_id(compose("loss=sum", "loss.terms=huber"))


def test_terms_without_a_space_in_common_have_no_use_outside_the_harness() -> None:
    with pytest.raises(BadRequest, match="no space in common"):
        losses.get("sum", terms="giou + cross_entropy")


MODEL = """
import torch

class Net(torch.nn.Linear):
    def __init__(self, shape, outputs):
        super().__init__(shape[0], outputs)

def wide(shape, outputs):
    return torch.nn.Linear(shape[0], outputs + 1)

def none(shape, outputs):
    return 5
"""


def test_a_model_of_ones_own_is_trained(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_for_a_test.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    record = quick("model=own", "model.target=nets_for_a_test:Net")
    assert (record.status, record.model["parameters"]) == ("done", 11)
    for target, says in (
        ("nets_for_a_test:Nett", "holds no 'Nett'"),
        ("nets_for_a_test:wide", r"two rows became \[2, 2\]"),
        ("nets_for_a_test:none", "gave a int"),
        ("nets_of_nobody:Net", "finds no module 'nets_of_nobody'"),
        ("nets_for_a_test", "as 'module:name'"),
    ):
        with pytest.raises(BadRequest, match=says):
            quick("model=own", f"model.target={target}", into="refused")
    assert not (tmp_path / "refused").exists()
