"""What finished models warn of is counted as users are told it, and nothing else of them is changed."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from build_models import config
from build_models.learn import domain
from build_models.report import card, warned
from larch_cnpredict.features import K_GRID
from larch_cnpredict.models import Models, default_folder


def test_flagged_and_sure_by_hand(monkeypatch):
    answers = [
        SimpleNamespace(in_domain=good, p=p) for good, p in ((True, 0.9), (True, 0.7), (False, 0.9), (True, 0.8))
    ]
    asked = []
    monkeypatch.setattr(warned, "predict_spectra", lambda spectra, *given: asked.extend(spectra) or answers)
    chi = np.outer([1, 2, 0, 3, 4], np.sin(4 * K_GRID) * np.exp(-K_GRID / 4))
    found = warned.said(None, chi, np.array(["Fe", "Cu", "Fe", "Fe", "Cu"]), np.array([10, 12, 12, 14, 16.0]))
    assert found == {"spectra": 5, "flagged": pytest.approx(2 / 5), "sure": 2 / 5}
    assert [one.element for one in asked] == ["Fe", "Cu", "Fe", "Cu"]
    assert [one.k[-1] for one in asked] == pytest.approx([10, 12, 14, 16])


@pytest.mark.feff
def test_only_what_is_unlike_exafs_is_new(spectra_table, tmp_path, monkeypatch):
    for name, value in (("COPIES", 2), ("EPOCHS", 1), ("FOILS", 2)):
        monkeypatch.setattr(domain, name, value)
    monkeypatch.setattr(warned, "ASKED", 24)
    readme = tmp_path / "README.md"
    readme.write_text(f"{card.START}\n{card.END}\n")
    train = {"keep": str(default_folder()), "tables": [str(spectra_table)], "models": str(tmp_path)}
    train |= {"readme": str(readme), "version": "mine"}
    warned.run(config.load(None, {"run": {"out": str(tmp_path)}, "train": train}))
    made, shipped = tmp_path / "mine", default_folder()
    same = {path.name for path in shipped.iterdir() if path.read_bytes() == (made / path.name).read_bytes()}
    assert {path.name for path in made.iterdir()} - same == {"domain.npz", "metrics.json", "manifest.json", "README.md"}
    before, after = Models(shipped).domain, Models(made).domain
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert "unlike" in changed
    assert {name.split("_")[0] for name in changed} == {"unlike"}
    counted = json.loads((made / "metrics.json").read_text())["warned"]
    kinds = ["waves", "bumps in k", "bumps in R", "noise", "wrong sign", "wrong scale"]
    assert [*counted] == [warned.SOUND, warned.FOILS, *kinds]
    assert [one["spectra"] for one in counted.values()] == [24, 24, 3, 3, 3, 3, 6, 6]
    assert json.loads((made / "manifest.json").read_text())["warns"] == "mine"
    assert "What is unlike EXAFS is of this version; all else is older." in (made / "README.md").read_text()
    assert "**Warnings**: of 24 sound simulated spectra" in readme.read_text()
    with pytest.raises(config.ConfigError, match="what is new needs a version of its own"):
        warned.run(config.load(None, {"train": train | {"keep": str(made)}}))
