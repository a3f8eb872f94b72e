"""What ships answers as what was trained, and is not written before there is anything to say of it."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from build_models import config
from build_models.__main__ import main
from build_models.config import BuildError
from build_models.report import export
from build_models.run import Run
from larch_cnpredict.domain import SHELLS
from larch_cnpredict.models import Models, default_folder
from tests.build_models import synthetic
from tests.build_models.crystals import crystals


def model(p: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(reads="magnitude", predict=lambda x: p)


def test_a_model_that_answers_otherwise_than_the_trained_one_does_not_ship(tmp_path, capsys, monkeypatch):
    settings = config.load(None, {"run": {"out": str(tmp_path)}})
    run = Run(settings, synthetic.dataset(60))
    p = np.eye(16)[run.data.cn - 1]
    shipped = SimpleNamespace(probabilities=lambda name, x: p)
    assert export.check(shipped, {"forest": model(p)}, run)["forest"]["same_class"] == 1
    monkeypatch.setitem(vars(export), "run", lambda _: export.check(shipped, {"forest": model(p[::-1])}, run))
    assert main(["export"]) == 1
    assert capsys.readouterr().err.startswith("build_models: forest: same class for ")


def test_networks_of_samples_are_held_against_the_trained_ones_too(tmp_path, monkeypatch):
    monkeypatch.setattr("build_models.run.COPIES", 1)
    run = Run(config.load(None, {"run": {"out": str(tmp_path)}}), synthetic.dataset(60))
    says = np.random.default_rng(0).dirichlet(np.ones(64), len(run.anchors))
    monkeypatch.setattr(export.train, "load", lambda *_, unseen: SimpleNamespace(predict=lambda x: says[: len(x)]))
    shipped = SimpleNamespace(of_samples=lambda reads, x, told: says[: len(x)] + 0 * told[:, :1])
    found = export.check_samples(shipped, run)
    assert {name: one["same_class"] for name, one in found.items()} == {"samples, complex": 1, "samples, magnitude": 1}
    shipped.of_samples = lambda reads, x, told: says[: len(x)] + 1e-3
    with pytest.raises(BuildError, match=r"samples, complex: same class for .* probabilities differ by"):
        export.check_samples(shipped, run)


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path, capsys):
    (tmp_path / "models" / config.load().train.version).mkdir(parents=True)
    assert main(["export", "--out", str(tmp_path)]) == 1
    assert "is there and holds no models; choose another" in capsys.readouterr().err


def test_figures_that_are_not_there_are_asked_for(tmp_path, monkeypatch, capsys):
    settings = config.load(None, {"run": {"out": str(tmp_path)}})
    monkeypatch.setattr(Run, "load", lambda _: Run(settings, synthetic.dataset(60)))
    assert main(["export"]) == 1
    assert "run the stage 'evaluate' first" in capsys.readouterr().err


def test_what_is_kept_learns_the_shells_of_its_sites(tmp_path, monkeypatch, structure_table):
    finished = default_folder()
    networks = SimpleNamespace(
        classes=np.arange(3), onnx=lambda: SimpleNamespace(SerializeToString=(finished / "phase.onnx").read_bytes)
    )
    monkeypatch.setattr(export.train, "load", lambda run, name, unseen: networks)
    monkeypatch.setattr(export.shells, "held_out", lambda arrays: {"said": len(arrays["shell_counts"])})
    settings = config.load(None, {"train": {"keep": str(finished), "structures": [str(structure_table)]}})
    manifest = export.write(tmp_path / "mine", Run(settings, synthetic.dataset(60)), {"phase": {}})
    before, kept = Models(finished), json.loads((finished / "manifest.json").read_text())
    assert (manifest["families"], manifest["absorbers"]) == (kept["families"], kept["absorbers"])
    assert manifest["beam"]["s02"]["Cu"] > manifest["recipe"]["augmentation"]["s02"][0]
    after = dict(np.load(tmp_path / "mine" / "domain.npz"))
    content = (tmp_path / "mine" / "domain.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest["domain"]["sha256"]
    assert manifest["shells"]["said"] == len(after["site"])
    for name in set(before.domain) - set(SHELLS):
        np.testing.assert_array_equal(after[name], before.domain[name])
    (copper,) = np.flatnonzero(after["site"] == "mp-30 site 0")
    assert after["shell_counts"][copper].tolist() == [12, 0]
    assert np.flatnonzero(after["shell_counts"].any(1)).tolist() == [
        i for i, site in enumerate(after["site"]) if site.split()[0] in crystals()
    ]
