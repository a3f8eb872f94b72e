"""Cross-validation on a made-up table whose numbers no spectrum tells: whoever is right there has seen the answer."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from build_models import config
from build_models.config import Config
from build_models.learn import composition, families, train
from build_models.learn.families import PAPER
from build_models.report import evaluate
from build_models.report.evaluate import Trained
from build_models.run import Run
from build_models.spectra.dataset import CLASSES
from larch_cnpredict.models import default_folder
from larch_cnpredict.samples import GRID, HEADS, ONE
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


def test_what_is_said_is_less_sure_where_the_sample_does_not_agree(run, monkeypatch):
    """All numbers right with p = 0.9; the networks of samples agree for iron, and say 16 of all others."""
    data, iron = run.data, run.data.elements == "Fe"
    p = np.full((160, 16), 0.1 / 15)
    p[np.arange(160), data.cn - 1] = 0.9
    says = np.zeros((160, sum(HEADS)))
    says[np.arange(160), np.where(iron, (data.cn - 1) * 4, len(GRID) - 1)] = 1
    says[:, len(GRID)] = 1
    monkeypatch.setattr(evaluate, "cross_validate", lambda *_: {"shipped": {"realistic": {"phase": p, "shells": p}}})
    monkeypatch.setattr(evaluate.calibrate, "out_of_fold", lambda p, *_: (p, None, None))
    monkeypatch.setattr(evaluate.samples, "cross_validate", lambda *_: {"sites": says})
    found = evaluate.as_said(run)["complex"]
    assert found["phase"]["sure"] == found["phase"]["right"] == 1
    assert found["said"]["sure"] == pytest.approx(iron.mean())
    assert found["said"]["mean"] == pytest.approx(0.9)


def test_misled_is_who_gets_one_wrong_number_that_nothing_speaks_against(run, monkeypatch):
    """`phase` is sure and wrong about every other sample; the networks of samples agree with every third answer."""
    mean, kind = run.samples("test").truth(0).T
    n, several = len(mean), kind != ONE
    wrong, agree = np.arange(n) % 2 == 0, np.arange(n) % 3 == 0
    cn = np.clip(np.round(mean).astype(int) + 3 * wrong, 1, 16)
    right = np.abs(cn - mean) <= 0.5
    p = np.full((n, 16), 0.1 / 15)
    p[np.arange(n), cn - 1] = 0.9
    says = np.zeros((n, sum(HEADS)))
    says[np.arange(n), np.where(agree, (cn - 1) * 4, 0)] = 1
    says[:, len(GRID) + ONE] = 1
    answers = {"samples": {"phase": p}, "realistic": {"phase": p}}
    monkeypatch.setattr(evaluate, "cross_validate", lambda *_: {"shipped": answers})
    monkeypatch.setattr(evaluate.calibrate, "fit_power", lambda *_: 1.0)
    monkeypatch.setattr(evaluate.samples, "cross_validate", lambda *_: {"samples": says})
    found = evaluate.misled(run)
    assert (found["samples"], several.sum() > 10, right[several].any()) == (several.sum(), True, True)
    assert found["phase"] == pytest.approx((~right)[several].mean())
    assert found["said"] == pytest.approx((~right & agree)[several].mean())
    monkeypatch.setattr(evaluate.samples, "out_of_fold", lambda *_: (np.full(n, ONE + 1), None))
    assert evaluate.misled(run)["phase"] == 0  # all are said to be several


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


def test_defects_are_asked_about_where_their_structure_type_is_held_out(run, monkeypatch):
    monkeypatch.setattr(train, "DEFAULT", {"complex": "forest"})
    this, asked = with_defects(run), []

    def predict_fold(_, fitted, tests):
        asked.append((fitted[2], tests["defects"][1]))
        return {name: np.full((len(rows), 16), rows.mean()) for name, (_, rows) in tests.items()}

    monkeypatch.setattr(train, "predict_fold", predict_fold)
    predicted = evaluate.cross_validate(this, "prototype")["shipped"]
    assert predicted["defects"]["forest"].shape == (12, 16)
    assert sorted(np.concatenate([rows for _, rows in asked])) == list(range(12))
    for seen, rows in asked:
        assert not set(run.data.prototypes[seen]) & set(this.defects.prototypes[rows])
    assert (
        "defects"
        not in evaluate.summarise(this.scored, this.schemes["prototype"], {"shipped": predicted}, {})["shipped"]
    )


def test_defects_are_scored_by_what_they_are(run, monkeypatch):
    """All vacancies right, sure and said so; complexes sure and wrong, and the networks of samples say otherwise."""
    this = with_defects(run)
    cn = this.defects.cn
    number, says = np.where(np.arange(12) < 8, cn, 3), np.zeros((12, sum(HEADS)))
    says[np.arange(12), (cn - 1) * 4] = 1
    p = np.full((12, 16), 0.01)
    p[np.arange(12), number - 1] = 0.85
    answers = {"defects": {"phase": p}, "realistic": {"phase": p}}
    monkeypatch.setattr(evaluate, "cross_validate", lambda *_: {"shipped": answers})
    monkeypatch.setattr(evaluate.calibrate, "fit_power", lambda *_: 1.0)
    monkeypatch.setattr(evaluate.samples, "cross_validate", lambda *_: {"defects": says})
    found = evaluate.of_defects(this)
    assert list(found) == ["beside a vacancy", "complexes"]
    vacancies, complexes = found.values()
    assert (vacancies["phase"]["sites"], vacancies["phase"]["accuracy"], vacancies["said"]["sure"]) == (8, 1, 1)
    assert (complexes["phase"]["sure"], complexes["phase"]["right"], complexes["said"]["sure"]) == (1, 0, 0)
    commonest = np.bincount(run.data.cn[run.data.elements == "Fe"]).argmax()
    assert complexes["majority"] == (cn[8:] == commonest).mean()
    this.__dict__["defects"] = replace(this.defects, elements=np.full(12, "Zn"))  # of which there is no perfect crystal
    assert evaluate.of_defects(this)["complexes"]["majority"] == 0


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


def test_of_kept_models_it_is_said_whose_networks_of_samples_spoke(tmp_path):
    finished = default_folder()
    kept = evaluate.kept(finished)
    assert {"schemes", "data", "calibration", "as_said", "misled", "defects"} <= set(kept)
    assert not {"measured", "unseen"} & set(kept)  # these are made anew, or there are none
    (tmp_path / "manifest.json").write_text((finished / "manifest.json").read_text())
    for before, said_by in (({}, finished.name), ({"said_by": "the first"}, "the first")):
        (tmp_path / "metrics.json").write_text(json.dumps(before))
        assert evaluate.kept(tmp_path)["said_by"] == said_by


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


def test_where_the_sample_agrees_p_stays():
    p, density = np.eye(16)[[5]] * 0.9 + 0.1 / 16, np.zeros((1, len(GRID)))
    density[0, GRID == 6.25] = 1
    assert evaluate._lowered(p, density) == pytest.approx(p, abs=2e-3)
    density[0, :] = GRID == 6.75
    assert evaluate._lowered(p, density).max() < 0.1


def test_misled_by_one_is_misled(run, monkeypatch):
    mean, _ = run.samples("test").truth(0).T
    p, says = np.eye(16)[np.round(mean).astype(int)], np.zeros((len(mean), sum(HEADS)))  # one more than the mean
    says[:, [0, len(GRID) + ONE]] = 1
    answers = {"samples": {"phase": p}, "realistic": {"phase": p}}
    monkeypatch.setattr(evaluate, "cross_validate", lambda *_: {"shipped": answers})
    monkeypatch.setattr(evaluate.calibrate, "fit_power", lambda *_: 1.0)
    monkeypatch.setattr(evaluate.samples, "cross_validate", lambda *_: {"samples": says})
    assert evaluate.misled(run)["phase"] == 1


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
    monkeypatch.setattr(composition, "EPOCHS", 60)
    monkeypatch.setattr(composition, "KINDS", ("formula",))  # the kind that is asked for here


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
