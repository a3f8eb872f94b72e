"""The index of known sites."""

from dataclasses import replace

import numpy as np
import pytest

from build_models.learn import domain as fitting
from build_models.spectra import augment
from larch_cnpredict import domain, features


@pytest.mark.feff
def test_a_sites_nearest_neighbour_is_itself(data):
    arrays = fitting.fit(data, replace(augment.Augmentation(), mixture=0.0), seed=0)
    for i, element in enumerate(features.ELEMENTS):
        rows = np.flatnonzero(arrays["element"] == i)
        if len(rows):
            found, _ = domain.nearest(arrays["index"][rows].astype(float), arrays, i, 1)
            assert found[:, 0].tolist() == rows.tolist(), element
