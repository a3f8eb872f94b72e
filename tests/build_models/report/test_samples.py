"""Samples are tested by networks that did not see their fold, with intervals that did not either."""

from dataclasses import replace

import numpy as np
import pytest

from build_models import config
from build_models.learn import samples as networks
from build_models.learn import train
from build_models.learn.samples import Told
from build_models.report import samples, scores
from build_models.run import Run
from larch_cnpredict.models import default_folder
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import HEADS, ONE, PARTICLE, TOLD, read
from tests.build_models import synthetic


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    settings = {"run": {"out": str(tmp_path), "workers": 1}, "train": {"folds": 4}}
    monkeypatch.setattr("build_models.run.COPIES", 2)
    return Run(config.load(None, settings), synthetic.dataset(240))


class Remembers:
    """Knows the truth of the anchors that it was fitted to, by heart, and says the largest number of all others."""

    reads = "magnitude"

    def __init__(self, run: Run, seen: np.ndarray):
        test = Told(**vars(run.samples("test")))
        self.known = {row.tobytes(): labels for row, labels in zip(
            test.inputs("magnitude", 0, seen), test.labels(0, seen), strict=True)}  # fmt: skip

    def predict(self, x: np.ndarray) -> np.ndarray:
        unknown = np.zeros(sum(HEADS))
        unknown[[HEADS[0] - 1, HEADS[0] + ONE]] = 1
        return np.array([self.known.get(row.tobytes(), unknown) for row in x])


def test_no_network_has_seen_the_sample_that_it_is_tested_on(run, monkeypatch):
    monkeypatch.setattr(networks, "fit_networks", lambda reads, spectra, seen, recipe, seed: Remembers(run, seen))
    says = samples.cross_validate(run, "magnitude")
    assert (says[:, HEADS[0] - 1] == 1).all()


def test_with_models_to_keep_a_few_folds_may_be_tested(run, monkeypatch):
    asked = []

    def asked_for(fit, arguments, tests):
        (rows,) = [rows for _, rows in tests.values()]
        asked.append(rows)
        return {test: np.ones((len(rows), sum(HEADS))) for test, (_, rows) in tests.items()}

    monkeypatch.setattr(train, "predict_fold", asked_for)
    this = Run(
        replace(run.config, train=replace(run.config.train, keep=str(default_folder()), sample_folds=2)), run.data
    )
    says = samples.cross_validate(this, "magnitude")
    fold = run.anchors.fold[:, 0]
    assert [set(fold[rows]) for rows in asked] == [{0}, {1}]
    np.testing.assert_array_equal(says.any(1), fold < 2)
    np.testing.assert_array_equal(this.tested, fold < 2)
    assert run.tested.all()


def test_networks_learn_and_are_asked_about_samples_as_they_read_them(run, monkeypatch):
    learnt, asked = [], []

    class Learns:
        def __init__(self, *_):
            self.reads = "magnitude"

        def fit(self, spectra, rows, recipe, seed):
            learnt.append((spectra.inputs("magnitude", 0, rows), spectra.labels(0, rows), rows))
            return self

        def predict(self, x):
            asked.append(x)
            return np.zeros((len(x), sum(HEADS)))

    monkeypatch.setattr(networks, "Network", Learns)
    samples.cross_validate(run, "magnitude")
    test = run.samples("test").inputs("magnitude", 0, np.arange(len(run.anchors)))
    folds = run.samples("folds")
    x, labels, rows = learnt[0]
    stored = folds.inputs("magnitude", 0, rows)
    np.testing.assert_array_equal(x, read(stored[:, :-TOLD], stored[:, -TOLD:]))
    np.testing.assert_array_equal(labels, folds.labels(0, rows))
    assert x.shape[1] > stored.shape[1]
    every = np.concatenate(asked)
    assert len(every) >= run.tested.sum()
    expected = read(test[:, :-TOLD], test[:, -TOLD:])
    assert {row.tobytes() for row in expected[run.tested]} <= {row.tobytes() for row in every}


def test_samples_of_extra_sites_are_learnt_from_and_in_no_test(run, monkeypatch):
    extra = np.arange(240) >= 160
    this = Run(run.config, replace(run.data, extra=extra, single=np.arange(240) >= 200))
    learnt, tested, asked = this.learnt, this.anchors, []
    assert set(learnt.data.sites) > set(tested.data.sites)
    assert not set(tested.data.sites) & set(run.data.sites[extra])
    assert ((this.samples("folds").single >= 0) == learnt.data.single).all()

    def asked_for(fit, arguments, tests):
        asked.append((arguments[2], tests["samples"][1]))
        return {test: np.zeros((len(rows), sum(HEADS))) for test, (_, rows) in tests.items()}

    monkeypatch.setattr(train, "predict_fold", asked_for)
    assert len(samples.cross_validate(this, "magnitude")) == len(tested)
    for seen, rows in asked:
        assert learnt.data.extra[seen].any()
        assert not set(learnt.fold[seen].ravel()) & set(tested.fold[rows].ravel())
        assert not set(learnt.data.prototypes[seen]) & set(tested.data.prototypes[rows])


def test_nothing_is_mixed_with_what_is_held_out(run, monkeypatch):
    formulas = np.where(np.arange(240) < 40, "FeS2", run.data.formulas)
    settings = replace(run.config, train=replace(run.config.train, unseen_formulas=("FeS2",)))
    this = Run(settings, replace(run.data, formulas=formulas))
    made = {}

    def make(folder, anchors, sides, *_):
        made[folder.name] = sides
        return folder.name

    monkeypatch.setattr("build_models.run.samples.make", make)
    for name in ("shipped", "unseen", "folds", "test"):
        this.samples(name)
    hidden = this.unseen_anchors(this.learnt)
    assert 0 < hidden.sum() < len(hidden)
    np.testing.assert_array_equal(made["samples-unseen"], np.column_stack([hidden] * 2))
    assert not made["samples-shipped"].any()
    np.testing.assert_array_equal(made["samples-folds"], this.learnt.fold)
    np.testing.assert_array_equal(made["samples-test"], this.anchors.fold)

    fits = {}
    monkeypatch.setattr(train, "run_jobs", lambda _, files, what: fits.update({p.stem: a for p, a in files.items()}))
    train.fit_missing(this)
    for reads in networks.SIZES:
        assert fits[f"samples-{reads}"][2:4] == ("samples-shipped", pytest.approx(np.arange(len(hidden))))
        assert fits[f"samples-{reads}-unseen"][2:4] == ("samples-unseen", pytest.approx(np.flatnonzero(~hidden)))


def test_a_particle_is_tested_where_neither_its_metals_nor_its_shape_are_known(run, monkeypatch):
    fold = run.learnt.fold.copy()
    fold[::7, 1] = (fold[::7, 0] + 1) % 4
    run.__dict__["learnt"] = replace(run.learnt, fold=fold)
    asked = {}

    def fold_of(fit, arguments, tests):
        seen, rows = arguments[2], tests["samples"][1]
        (i,) = np.unique(fold[rows])
        asked[i] = seen
        return {"samples": np.full((len(rows), sum(HEADS)), i, float)}

    monkeypatch.setattr(train, "predict_fold", fold_of)
    says = samples.cross_validate(run, "magnitude")
    assert sorted(asked) == [0, 1, 2, 3]
    for i, seen in asked.items():
        assert sorted(seen) == np.flatnonzero((fold[:, 0] != i) & (fold[:, 1] != i)).tolist()
    alike = fold[:, 0] == fold[:, 1]
    assert (says[alike, 0] == fold[alike, 0]).all()
    assert not says[~alike].any()


def test_levels_of_a_fold_come_from_the_others():
    rng = np.random.default_rng(0)
    n, fold = 800, np.arange(800) % 2
    says = np.zeros((n, sum(HEADS)))
    falling = np.linspace(1.1, 0.9, HEADS[0])
    says[:, : HEADS[0]] = falling / falling.sum()
    says[:, HEADS[0] + ONE] = 1
    # in the first fold the truth lies in the lower half, where the shortest interval begins
    mean = np.where(fold == 0, rng.uniform(1, 8, n), rng.uniform(1, 16, n))
    _, intervals = samples.out_of_fold(says, mean, np.full(n, ONE), np.full(n, "Fe"), fold, np.ones(n, bool))
    width = intervals[:, 1] - intervals[:, 0]
    assert width[fold == 0] == pytest.approx(13.7, abs=0.5)  # nine tenths of what the second fold needs
    assert width[fold == 1].max() < 8.6


def test_levels_are_those_of_samples_of_which_nothing_is_told():
    rng, n = np.random.default_rng(0), 800
    blank, says = np.arange(n) % 4 == 0, np.zeros((n, sum(HEADS)))
    falling = np.linspace(1.1, 0.9, HEADS[0])
    says[:, : HEADS[0]], says[:, HEADS[0] + ONE] = falling / falling.sum(), 1
    mean = np.where(blank, rng.uniform(1, 16, n), 1.5)  # who is told more is nearer
    _, intervals = samples.out_of_fold(says, mean, np.full(n, ONE), np.full(n, "Fe"), np.arange(n) // 4 % 2, blank)
    held = (intervals[:, 0] <= mean) & (mean <= intervals[:, 1])
    assert held[blank].mean() == pytest.approx(0.9, abs=0.03)
    assert held[~blank].all()


def test_without_a_spectrum_the_mean_of_the_absorber_is_said():
    mean, elements = np.array([4.0, 6, 8, 12, 2, 2]), np.array(["Fe", "Fe", "Fe", "Ni", "Ni", "Ni"])
    said = scores.of_the_absorber(mean, elements, np.array([0, 1, 1, 0, 1, 1]), np.mean)
    assert said.tolist() == [7, 4, 4, 2, 12, 12]


def test_groups_of_samples_are_what_they_are_called(run, monkeypatch):
    tested = np.flatnonzero(run.anchors.tested)
    n, number = len(tested), np.arange(len(run.anchors))
    says = np.zeros((len(run.anchors), sum(HEADS)))
    says[tested, 0] = number[:n]
    said = number[:n] % 3
    monkeypatch.setattr(samples, "cross_validate", lambda *_: says)
    monkeypatch.setattr(samples, "out_of_fold", lambda *_: (said, np.zeros((n, 2))))
    monkeypatch.setattr(samples.samples, "fit", lambda *_: {})
    monkeypatch.setattr(samples.samples, "score", lambda says, *_: says[:, 0].astype(int).tolist())
    found = samples.evaluate(run)[0]["complex"]
    told, kind = run.samples("test").inputs("magnitude", 0, tested)[:, -TOLD:], run.samples("test").truth(0)[tested, 1]
    s02, named = told[:, 0] > 0, told[:, 2:].any(1)
    groups = {"all": said >= 0, "nothing told": ~s02 & ~named, "s02 told": s02 & ~named, "both told": s02 & named}
    groups |= {"elements told": named & ~s02}
    for i, name in enumerate(KINDS):
        groups |= {name: kind == i, f"said: {name}": said == i}
    few = {KINDS[PARTICLE]: kind == PARTICLE, "vacancies, supports, dopants, sheets": run.anchors.defect[tested]}
    for name, rows in few.items():
        groups |= {f"{name}, nothing told": rows & ~s02 & ~named, f"{name}, s02 told": rows & s02}
    for name, rows in groups.items():
        assert found.get(name, []) == np.flatnonzero(rows).tolist(), name
