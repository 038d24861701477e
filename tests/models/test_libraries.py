"""Networks of torchvision and timm by name: fitted to the task and the pictures, or refused in one sentence before training."""

import shlex
import subprocess
import sys
import urllib.error
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from losslab import compose, model_libraries, models, read_records
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.schema import cards, references

SMALL = "task=multiclass data=digits trainer=cpu trainer.max_epochs=1 logger=none"
NET = "torchvision:shufflenet_v2_x0_5"


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cards.refresh()
    yield tmp_path
    cards.refresh()


def typed(line: str) -> int:
    return main(["train", *shlex.split(line)])


@pytest.mark.slow
def test_a_network_of_torchvision_trains_and_its_version_is_noted(there: Path) -> None:
    assert typed(f"model={NET} {SMALL} hydra.run.dir=one") == 0
    (record,) = read_records(there / "one")
    assert (record.model["name"], record.model["pretrained"], record.status) == (NET, False, "done")
    assert f"source/model/{NET}" in record.pairing
    assert main(["report", "one"]) == 0


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "googlenet", "densenet121"])
@pytest.mark.parametrize(("channels", "outputs"), [(1, 4), (3, 10), (2, 1)])
def test_head_and_first_layer_are_fitted(name: str, channels: int, outputs: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_libraries.make(f"torchvision:{name}", (channels, 64, 64), outputs)
    assert model.training
    assert model.eval()(torch.rand(3, channels, 64, 64)).shape == (3, outputs)


def test_weights_come_from_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat(
            [p.flatten() for p in models.build({"name": NET, "pretrained": False}, (1, 8, 8), 10, seed).parameters()]
        )

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def on_disk(name: str, there: Path) -> nn.Module:
    """A network whose weights lie where torch.hub looks for them."""
    torch.manual_seed(7)
    model = torchvision.models.get_model(name, weights=None)
    file = Path(torchvision.models.get_model_weights(name).DEFAULT.url).name
    (there / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(model.state_dict(), there / "torch" / "hub" / "checkpoints" / file)
    return model


@pytest.mark.parametrize(("name", "first"), [("resnet18", "conv1"), ("squeezenet1_1", "features.0")])
def test_weights_on_disk_are_taken(name: str, first: str, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = on_disk(name, there)
    grey, colour = (
        model_libraries.make(f"torchvision:{name}", (channels, 64, 64), 5, pretrained=True) for channels in (1, 3)
    )
    for model in (grey, colour):
        same = {key: torch.equal(value, model.state_dict()[key]) for key, value in source.state_dict().items()
                if key in model.state_dict() and value.shape == model.state_dict()[key].shape}  # fmt: skip
        assert all(same.values())
        assert len(same) >= len(source.state_dict()) - 3
    picture = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(
        grey.get_submodule(first)(picture),
        source.get_submodule(first)(picture.expand(2, 3, 64, 64)),
        rtol=1e-4,
        atol=1e-5,
    )
    assert capsys.readouterr() == ("", "")


def test_a_download_that_fails_is_one_sentence(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", nobody)
    assert typed(f"model={NET} model.pretrained=true {SMALL} hydra.run.dir=one") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "model.pretrained=true: torchvision:shufflenet_v2_x0_5 and its weights cannot be had: URLError" in err
    assert "take model.pretrained=false" in err
    assert not (there / "one").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model=torchvision:resnet81", ["There is no model 'torchvision:resnet81' (did you mean", "lists all"]),
        ("model=torchvision:", ["There is no model 'torchvision:'"]),
        ("model=torchvision:fcn_resnet50", ["There is no model"]),  # it labels pixels
        (f"model={NET} model.pretraned=true", ["no key 'model.pretraned'", "did you mean 'model.pretrained'?"]),
        ("model=torchvision:alexnet", ["Pictures of 8 x 8 are too small for model=torchvision:alexnet, which takes 64 x"]),
        ("model=torchvision:vgg11", ["Pictures of 8 x 8 are too small", "which takes 32 x 32"]),
        ("model=torchvision:vit_b_16", ["cannot be made for pictures [1, 8, 8]: AssertionError: Input shape indivisible"]),
        (f"task=regression data=friedman model={NET}", ["reads picture data and 'friedman' is a table"]),
        ("model=timm:resnet18", ["needs the package timm, which is not installed: pip install 'losslab[models]'"]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_training(
    line: str, said: list[str], there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.util import find_spec

    without = lambda name: None if name == "timm" else find_spec(name)  # noqa: E731
    monkeypatch.setattr("losslab.schema.model_libraries.find_spec", without)
    assert typed(f"{SMALL} {line} hydra.run.dir=one") == 2
    err = capsys.readouterr().err
    assert all(part in err for part in said), err
    assert err.count("\n") == 1
    assert not (there / "one").exists()


def test_a_table_of_unknown_kind_is_refused_too() -> None:
    with pytest.raises(
        BadRequest, match=r"reads pictures \[channels, height, width\], and the data give inputs \[10\]"
    ):
        model_libraries.make(NET, (10,), 1)


FAKE = """
from torch import nn
def list_models(): return ["tiny", "vit"]
def is_model(name): return name.split(".")[0] in list_models()
class Sized(nn.Module):
    def __init__(self, size, chans, classes):
        super().__init__()
        self.size, self.inner = size, nn.Linear(chans * size[0] * size[1], classes)
    def forward(self, inputs):
        assert inputs.shape[2:] == self.size, "Input height doesn't match model"
        return self.inner(inputs.flatten(1))
def create_model(name, pretrained, num_classes, in_chans, **more):
    if pretrained: raise RuntimeError(f"No pretrained weights exist for {name}.")
    if name == "vit": return Sized(more.get("img_size", (224, 224)), in_chans, num_classes)
    assert not more
    return nn.Sequential(nn.Conv2d(in_chans, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, num_classes))
"""


@pytest.fixture
def timm(there: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module in the place of timm, which the tests do not need."""
    (there / "site").mkdir()
    (there / "site" / "timm.py").write_text(FAKE)
    before = sys.modules.pop("timm", None)
    monkeypatch.syspath_prepend(there / "site")
    yield
    sys.modules.pop("timm", None)
    if before is not None:
        sys.modules["timm"] = before


@pytest.mark.slow
@pytest.mark.usefixtures("timm")
def test_a_network_of_timm_is_made_for_task_and_pictures(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("tiny", "tiny.some_weights", "vit"):
        assert typed(f"model=timm:{name} {SMALL} hydra.run.dir={name}") == 0
        (record,) = read_records(there / name)
        assert (record.model["name"], record.status) == (f"timm:{name}", "done")
    assert "timm:" not in compose("model=mlp")["model"]["name"]
    assert references.short("timm:tiny.some_weights") == "tiny.some_weights"
    capsys.readouterr()
    for line, said in (
        ("model=timm:tinny", "There is no model 'timm:tinny' (did you mean 'timm:tiny'?)"),
        ("model=timm:tiny model.pretrained=true", "No pretrained weights exist for tiny"),
    ):
        assert typed(f"{SMALL} {line} hydra.run.dir=refused") == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_the_real_timm_serves_as_well(there: Path) -> None:
    pytest.importorskip("timm")
    model = model_libraries.make("timm:resnet18", (1, 32, 32), 7)
    assert model.eval()(torch.rand(2, 1, 32, 32)).shape == (2, 7)


def test_no_library_is_imported_unless_one_of_its_names_is_asked_for() -> None:
    code = (
        "import sys; from losslab import compose; compose('model=mlp'); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'torchvision', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_records_are_read_without_the_library(there: Path) -> None:
    with references.without_imports():
        assert cards.card("model", "timm:anything").values["pretrained"] is False
