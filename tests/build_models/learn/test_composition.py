"""Networks that read compositions alone."""

import numpy as np
import onnxruntime
import pytest

from build_models.learn import composition
from build_models.learn.composition import Compositions
from build_models.learn.families import Recipe
from larch_cnpredict.composition import inputs
from tests.build_models import synthetic


@pytest.fixture(scope="module")
def fitted():
    data = synthetic.dataset(80)
    known = Compositions.of(data, "formula", sharpness=2.0)
    return known, composition.fit("formula", known, np.arange(80), Recipe(), seed=1)


def test_what_ships_says_what_was_trained(fitted):
    known, model = fitted
    session = onnxruntime.InferenceSession(model.onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.vstack([known.x, inputs([{"Fe": 1.0, "Ra": 3.0}], ["Fe"])])
    (says,) = session.run(["probabilities"], {"X": x})
    np.testing.assert_allclose(says, model.predict(x), atol=1e-6)
    np.testing.assert_allclose(says.sum(1), 1, atol=1e-5)


def test_an_element_that_training_never_met_says_nothing(fitted):
    known, model = fitted
    radium = known.x.copy()
    assert not radium[:, 88 - 1].any()
    radium[:, 88 - 1] = 0.5
    np.testing.assert_array_equal(model.predict(radium), model.predict(known.x))


def test_elements_know_no_amounts():
    data = synthetic.dataset(80)
    by_elements, by_formula = (Compositions.of(data, kind, 2.0).x for kind in ("elements", "formula"))
    assert np.allclose(by_elements[:, :118].max(1), np.where(by_elements[:, :118] > 0, by_elements[:, :118], 1).min(1))
    assert not np.allclose(by_formula, by_elements)
