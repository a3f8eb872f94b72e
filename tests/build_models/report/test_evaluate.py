"""Cross-validation on a made-up table whose numbers no spectrum tells: whoever is right there has seen the answer."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from build_models import config
from build_models.config import Config
from build_models.learn import families, train
from build_models.learn.families import PAPER
from build_models.report import evaluate
from build_models.report.evaluate import Trained
from build_models.run import Run
from build_models.spectra.dataset import CLASSES
from larch_cnpredict.models import default_folder
from tests.build_models import synthetic

BY_HEART = {"shipped": Trained(("forest",), "paper", replace(PAPER, trees=30))}  # trees to the last leaf


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "COMPARED", dict.fromkeys(("prototype", "formula", "random"), BY_HEART))
    settings = config.load(None, {"run": {"out": str(tmp_path), "workers": 1}, "train": {"folds": 4}})
    return Run(settings, synthetic.dataset(160))


@pytest.mark.parametrize("scheme", ["prototype", "formula", "random"])
def test_no_model_has_seen_the_fold_that_it_is_tested_on(run, scheme):
    p = evaluate.cross_validate(run, scheme)["shipped"]["ideal"]["forest"]
    right = CLASSES[p.argmax(1)] == run.data.cn
    assert right.mean() < 0.55  # a third by chance; with its own fold in training it is all of them
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)


def test_types_and_formulas_are_held_out_whole(run):
    for scheme, keys in (("prototype", run.data.prototypes), ("formula", run.data.formulas)):
        for key in set(keys):
            assert len(set(run.schemes[scheme][keys == key])) == 1, (scheme, key)
        assert set(run.schemes[scheme]) == {0, 1, 2, 3}
    assert (np.bincount(run.schemes["random"]) == 40).all()


@pytest.mark.parametrize("learns", [(), ("forest",)])
def test_extra_sites_are_learnt_from_by_some_and_scored_by_none(run, learns, monkeypatch):
    asked = []

    def predict_fold(_, fitted, tests):
        asked.append((fitted[2], tests["ideal"][1]))
        return {name: np.full((len(rows), 16), 1 / 16) for name, (_, rows) in tests.items()}

    monkeypatch.setattr(train, "predict_fold", predict_fold)
    monkeypatch.setattr(families, "LEARN_EXTRA", learns)
    some = Run(run.config, replace(run.data, extra=np.arange(160) >= 120))
    predicted = evaluate.cross_validate(some, "prototype")
    assert predicted["shipped"]["ideal"]["forest"].shape == (120, 16)
    assert len(some.scored) == 120
    assert sorted(np.concatenate([rows for _, rows in asked])) == list(range(120))
    fold = some.schemes["prototype"]
    for seen, rows in asked:
        assert (seen.max() >= 120) == bool(learns)
        assert not set(fold[seen]) & set(fold[rows])


def test_what_cannot_be_split_is_refused(run, monkeypatch):
    monkeypatch.setattr("build_models.run.dataset.load", lambda *_: synthetic.dataset(12))
    with pytest.raises(config.ConfigError, match=r"3 structure types cannot be split in 4 folds: take more"):
        Run.load(run.config)
    assert len(Run.load(changed(run, folds=3)).data) == 12


def test_what_was_done_is_not_done_again(run, monkeypatch):
    first = evaluate.cross_validate(run, "formula")
    monkeypatch.setattr(train, "predict_fold", None)
    again = evaluate.cross_validate(Run(run.config, run.data), "formula")
    np.testing.assert_array_equal(first["shipped"]["ideal"]["forest"], again["shipped"]["ideal"]["forest"])


def changed(run: Run, **train) -> Config:
    return replace(run.config, train=replace(run.config.train, **train))


def test_other_data_or_settings_are_other_work(run, monkeypatch):
    folders = {run.folder}
    folders.add(Run(changed(run, folds=3), run.data).folder)
    folders.add(Run(changed(run, epochs=7), run.data).folder)
    folders.add(Run(run.config, replace(run.data, prototypes=run.data.formulas)).folder)
    monkeypatch.setattr("build_models.run.features.fingerprint", lambda: "of other constants")
    folders.add(Run(run.config, run.data).folder)
    names = ("samples", "composition", "domain", "features")
    code = ["spectra/", "learn/", "build_models/run.py", "data/labels.py", "data/particles.py"]
    for part in [*code, *(f"larch_cnpredict/{name}.py" for name in names)]:
        monkeypatch.setattr("build_models.run.table.sha256", lambda path, part=part: part in str(path))
        folders.add(Run(run.config, run.data).folder)
    assert len(folders) == 14
    monkeypatch.undo()
    assert Run(run.config, run.data).folder == run.folder


def test_other_models_to_keep_are_other_work(run, tmp_path):
    folders = {run.folder}
    for version in ("1", "2"):
        (tmp_path / "manifest.json").write_text(version)
        folders.add(Run(changed(run, keep=str(tmp_path)), run.data).folder)
    assert len(folders) == 3


def test_metrics_are_those_of_the_answers(run, monkeypatch):
    """A family that is always right for iron and never for nickel, instead of the trained one."""
    data, fold = run.data, run.schemes["prototype"]
    p = np.eye(16, dtype=np.float32)[np.where(data.elements == "Fe", data.cn, 1) - 1]
    predicted = {"shipped": {"ideal": {"forest": p}}}
    results = evaluate.summarise(data, fold, predicted, {})["shipped"]["ideal"]["forest"]
    assert results["Fe"]["accuracy"] == 1
    assert results["Ni"]["accuracy"] == 0
    assert results["all"]["accuracy"] == pytest.approx(0.5)


def with_defects(run: Run) -> Run:
    """The same with defects: eight vacancies in four of its structure types, and four complexes, of iron."""
    this = Run(run.config, run.data)
    names = [f"mp-{i} dopant at 0 vacancy site 0" for i in range(8)] + [f"complex Fe {i} site 0" for i in range(4)]
    types = [*run.data.prototypes[:32:4], *["complex water"] * 4]
    rows = np.flatnonzero(run.data.elements == "Fe")[:12]
    this.__dict__["defects"] = replace(
        run.data.take(rows), sites=np.array(names), prototypes=np.array(types), weight=np.ones(12)
    )
    return this


def test_what_training_did_not_see_is_scored_alone(run, monkeypatch):
    hidden = replace(run.data, formulas=np.where(np.arange(160) < 8, "FeS2", run.data.formulas))
    this = Run(changed(run, unseen_formulas=("FeS2",)), hidden)

    class Sure:
        reads = "complex"

        def predict(self, x):
            assert len(x) == 8
            return np.eye(16)[np.where(np.arange(8) < 6, hidden.cn[:8], 16) - 1]

    monkeypatch.setattr(evaluate.train, "trained", lambda run, unseen: {"phase": Sure()} if unseen else {})
    found = evaluate.unseen(this)
    assert (found["sites"], found["formulas"], found["accuracy"]) == (8, 1, pytest.approx(6 / 8))
    json.dumps(found)


def test_formulas_that_models_must_not_see_are_those_of_the_tables(run):
    data = replace(run.data, formulas=np.where(np.arange(160) < 8, "ZnNi2O4", run.data.formulas))
    assert Run(changed(run, unseen_formulas=("Zn(NiO2)2",)), data).unseen.sum() == 8
    for name, reason in (("CaTiO3", "no site of the tables is of CaTiO3"), ("rust", "unseen_formulas: ")):
        with pytest.raises(config.ConfigError, match=reason):
            _ = Run(changed(run, unseen_formulas=(name,)), data).unseen


def test_measured_compounds_are_unseen_whatever_else_is_asked_for(run, monkeypatch):
    data = replace(run.data, formulas=np.where(np.arange(160) < 8, "ZnNi2O4", run.data.formulas))
    monkeypatch.setattr("build_models.run.measured.formulas", lambda _: ["NiO"])
    this = Run(changed(run, unseen_formulas=("Zn(NiO2)2",), measured="folder"), data)
    assert this.unseen_formulas == ("NiO", "ZnNi2O4")


def test_what_was_exchanged_in_an_unseen_crystal_is_unseen(run):
    this = with_defects(Run(changed(run, unseen_formulas=("FeS2",)), replace(
        run.data, formulas=np.where(np.arange(160) < 8, "FeS2", run.data.formulas))))  # fmt: skip
    this.__dict__["defects"] = replace(this.defects, formulas=np.full(12, "CoFe9S20"))
    hidden = this.learnt.data.sites[this.unseen_anchors(this.learnt)]
    assert sum("dopant" in site for site in hidden) == 8
    assert not any("complex" in site for site in hidden)


def test_of_kept_models_stays_what_networks_of_samples_have_no_part_in():
    kept = evaluate.kept(str(default_folder()))
    assert {"schemes", "data", "calibration"} <= set(kept)
    assert not {"measured", "unseen", "confirmed", "warned", "defects", "said_by", "levels_from"} & set(kept)


def test_models_to_keep_are_looked_for_before_the_work(run, tmp_path, monkeypatch):
    settings = config.load(None, {"run": {"out": str(tmp_path)}, "train": {"keep": str(tmp_path / "nowhere")}})
    monkeypatch.setattr(Run, "load", lambda _: Run(settings, run.data))
    monkeypatch.setattr(train, "fit_missing", lambda _: pytest.fail("trained first"))
    with pytest.raises(config.ConfigError, match=r"keep = '.*nowhere': it holds no finished models"):
        evaluate.run(settings)


def test_composition_is_scored_with_the_spectrum():
    data = synthetic.dataset(160)
    fold = np.arange(160) % 4
    nothing, told = np.full((160, 16), 1 / 16), np.full((160, 16), 0.1 / 15)
    told[np.arange(160), data.cn - 1] = 0.9
    found = evaluate.summarise(
        data, fold, {"shipped": {"realistic": {"phase": nothing, "forest": nothing}}}, {"formula": told}
    )
    assert found["shipped"]["realistic"]["phase"]["all"]["accuracy"] < 0.5
    assert found["with formula"]["realistic"]["phase"]["all"]["accuracy"] == 1
    assert "forest" not in found["with formula"]["realistic"]


def test_each_test_is_asked_with_its_own_spectra(run, monkeypatch):
    def fit(*_):
        return SimpleNamespace(reads="magnitude", predict=lambda x: x)

    monkeypatch.setitem(evaluate.COMPARED, "formula", {"shipped": replace(BY_HEART["shipped"], method=fit)})
    said = evaluate.cross_validate(run, "formula")["shipped"]
    for name in evaluate.TESTS:
        expected = run.spectra(name).inputs("magnitude", 0, np.arange(160))
        np.testing.assert_array_equal(said[name]["forest"], expected)


def test_single_scattering_is_trained_on_and_nothing_else(run):
    some = Run(run.config, replace(run.data, extra=np.arange(160) >= 120, single=np.arange(160) >= 140))
    assert ((some.spectra("shipped").single >= 0) == some.data.single).all()
    assert len(some.spectra("shipped").inputs("magnitude", 0, np.arange(160))) == 160
    for test in evaluate.TESTS:
        with pytest.raises(IndexError):
            some.spectra(test).inputs("magnitude", 0, np.array([140]))
    assert np.flatnonzero(some.learns("phase")).max() == 159
    assert np.flatnonzero(some.learns("shells")).max() == 119
    assert len(some.scored) == 120


@pytest.fixture
def learns_by_heart(monkeypatch):
    monkeypatch.setattr(families, "EPOCHS", 60)
    monkeypatch.setattr(families, "BY_COMPOSITION", ("formula",))  # the kind that is asked for here


def test_a_composition_is_learnt_from_extra_sites_but_not_from_those_of_the_fold(run, learns_by_heart):
    """Extra sites are iron with six neighbours, all in one fold; the others, in two, have four and are few."""
    extra, fold = np.arange(160) >= 20, np.r_[np.arange(20) % 2, np.full(140, 1)]
    iron = {"elements": np.full(160, "Fe"), "formulas": np.full(160, "FeO"), "extra": extra}
    six = told(run, extra, "prototype", fold, **iron)
    assert (six == (fold[:20] == 0)).all()


def test_a_composition_is_not_learnt_from_complexes(run, learns_by_heart):
    """As above, but that the extra sites are complexes."""
    extra, types = np.arange(160) >= 20, np.where(np.arange(160) < 20, run.data.prototypes, "complex water")
    iron = {"elements": np.full(160, "Fe"), "formulas": np.full(160, "FeO"), "extra": extra, "prototypes": types}
    assert not told(run, extra, "prototype", np.r_[np.arange(20) % 2, np.full(140, 1)], **iron).any()


def told(run, six, scheme, fold=None, **changed):
    """Whether compositions say 6 of each scored site, where some sites have 6 neighbours and the others 4."""
    labels = np.eye(16, dtype=np.float32)[np.where(six, 6, 4) - 1]
    this = Run(run.config, replace(run.data, cn=np.where(six, 6, 4), labels=labels, digest=str(six), **changed))
    if fold is not None:
        this.schemes[scheme] = fold
    return CLASSES[evaluate.by_composition(this, scheme)["formula"].argmax(1)] == 6


def test_baselines_know_no_spectrum_and_no_fold_of_their_own(run, learns_by_heart):
    fold = run.schemes["formula"]
    found = evaluate.baselines(run.data, fold, evaluate.by_composition(run, "formula")["formula"])
    assert set(found) == {"majority", "composition"}
    for values in found.values():
        assert 0.15 < values["all"]["accuracy"] < 0.55  # a third by chance
    assert (told(run, run.data.elements == "Fe", "formula") == (run.data.elements == "Fe")).all()
