"""What ships answers as what was trained, and is not written before there is anything to say of it."""

from types import SimpleNamespace

import numpy as np

from build_models import config
from build_models.__main__ import main
from build_models.report import export
from build_models.run import Run
from tests.build_models import synthetic


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


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path, capsys):
    (tmp_path / "models" / config.load().train.version).mkdir(parents=True)
    assert main(["export", "--out", str(tmp_path)]) == 1
    assert "is there and holds no models; choose another" in capsys.readouterr().err


def test_figures_that_are_not_there_are_asked_for(tmp_path, monkeypatch, capsys):
    settings = config.load(None, {"run": {"out": str(tmp_path)}})
    monkeypatch.setattr(Run, "load", lambda _: Run(settings, synthetic.dataset(60)))
    assert main(["export"]) == 1
    assert "run the stage 'evaluate' first" in capsys.readouterr().err
