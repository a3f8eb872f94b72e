"""Each family on a made-up table, and its ONNX form."""

import numpy as np
import onnxruntime
import pytest

from build_models.learn import families
from build_models.spectra import copies, dataset
from larch_cnpredict import features
from tests.build_models import synthetic
from tests.build_models.synthetic import TINY


@pytest.fixture(scope="module")
def data():
    return synthetic.dataset(96, telling=True)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    return copies.make(folder, data, TINY.augmentation, TINY.sharpness, TINY.spectra, 1, np.zeros((len(data), 1)))


@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_onnx_answers_as_the_trained_original(data, made, family):
    rows = np.tile(np.arange(len(data)), 8)  # so many steps in each epoch
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
