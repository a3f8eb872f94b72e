"""Each family on a made-up table, and its ONNX form."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from build_models.learn import families
from build_models.spectra import copies, dataset
from larch_cnpredict import composition, features
from tests.build_models import synthetic
from tests.build_models.synthetic import TINY


@pytest.fixture(scope="module")
def data():
    return synthetic.dataset(96, telling=True)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    return copies.make(folder, data, TINY.augmentation, TINY.sharpness, TINY.spectra, 1, np.zeros((len(data), 1)))


def test_single_scattering_is_seen_as_often_as_all_else_and_changes_from_epoch_to_epoch(data, made, monkeypatch):
    seen, usual = [], 30
    inputs = copies.Copies.inputs

    def watched(self, reads, epoch, rows):
        seen.append(rows)
        return inputs(self, reads, epoch, rows)

    monkeypatch.setattr(copies.Copies, "inputs", watched)
    rows = np.setdiff1d(np.arange(len(data)), [3, 50])  # of the fold that is tested
    made = replace(made, single=np.where(np.arange(len(data)) < usual, -1, 0))
    families.fit("phase", made, rows, replace(TINY, phase_epochs=3), seed=1)
    of_scale, *epochs = seen
    assert of_scale.max() < usual
    assert len(epochs) == 3
    for each in epochs:
        assert len(set(each)) == len(each) == 2 * (usual - 1)
        assert set(rows[rows < usual]) < set(each) <= set(rows)
    assert set(epochs[0]) != set(epochs[1])
    few = np.arange(usual + 5)  # where there are fewer of them, each is seen
    seen.clear()
    families.fit("phase", made, few, replace(TINY, phase_epochs=1), seed=1)
    assert set(seen[1]) == set(few)


def test_rare_kinds_of_single_scattering_are_seen_more_often(data, made, monkeypatch):
    """Of 40 sites 30 are of one kind and 10 of another; ten are seen in an epoch."""
    drawn, labels = [], copies.Copies.labels
    monkeypatch.setattr(families, "FEWEST", 1)
    monkeypatch.setattr(families, "COMMON", -1.0)  # both kinds as often
    monkeypatch.setattr(copies.Copies, "labels", lambda *told: drawn.extend(told[2]) or labels(*told))
    single = np.where(np.arange(50) < 10, -1, np.where(np.arange(50) < 40, 3, 7))
    families.fit("phase", replace(made, single=single), np.arange(50), replace(TINY, phase_epochs=40), seed=1)
    rare = np.isin(drawn, np.arange(40, 50)).sum()
    assert 150 < rare < 230  # of 400; by chance 100


@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_onnx_answers_as_the_trained_original(data, made, family):
    rows = np.tile(np.arange(len(data)), 4)  # so many steps in each epoch
    model = families.fit(family, made, rows, TINY, seed=1)
    x = made.inputs(model.reads, 1, rows)
    far_too_large, a_few = x.copy(), x.copy()
    far_too_large[:, : len(features.R_POOLED)] *= 1e5
    a_few[:, 5 : len(features.R_POOLED) : 40] += 1e3  # clipped, these do not make any network sure
    session = onnxruntime.InferenceSession(model.onnx().SerializeToString())
    for inputs in (far_too_large, a_few, x):
        trained = model.predict(inputs)
        (shipped,) = session.run(["probabilities"], {"X": inputs})
        np.testing.assert_allclose(shipped, trained[:, model.classes - 1], atol=1e-5)
    assert (dataset.CLASSES[trained.argmax(1)] == data.cn[rows]).mean() > 0.6  # a third by chance
    again = families.fit(family, made, rows, TINY, seed=1).predict(x)
    np.testing.assert_allclose(again, trained, atol=1e-6)


@pytest.fixture(scope="module")
def by_formula():
    data = synthetic.dataset(80)
    known = copies.Compositions.of(data, "formula", sharpness=2.0)
    return known, families.fit("formula", known, np.arange(80), families.Recipe(), seed=1)


def test_what_ships_of_compositions_says_what_was_trained(by_formula):
    known, model = by_formula
    session = onnxruntime.InferenceSession(model.onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.vstack([known.x, composition.inputs([{"Fe": 1.0, "Ra": 3.0}], ["Fe"])])
    (says,) = session.run(["probabilities"], {"X": x})
    np.testing.assert_allclose(says, model.predict(x), atol=1e-6)
    np.testing.assert_allclose(says.sum(1), 1, atol=1e-5)


def test_an_element_that_training_never_met_says_nothing(by_formula):
    known, model = by_formula
    radium = known.x.copy()
    assert not radium[:, 88 - 1].any()
    radium[:, 88 - 1] = 0.5
    np.testing.assert_array_equal(model.predict(radium), model.predict(known.x))


def test_elements_know_no_amounts():
    data = synthetic.dataset(80)
    names, amounts = (copies.Compositions.of(data, kind, 2.0).x for kind in ("elements", "formula"))
    assert np.allclose(names[:, :118].max(1), np.where(names[:, :118] > 0, names[:, :118], 1).min(1))
    assert not np.allclose(amounts, names)
