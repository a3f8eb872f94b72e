import numpy as np
import pytest

from larch_cnpredict.uncertainty import combined


def test_spectrum_and_composition_by_hand():
    p, told, prior = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.8, 0.0]), np.array([0.5, 0.25, 0.25])
    expected = p**0.9 * np.array([0.2, 0.8, 1e-3]) ** 0.4 / prior**0.2
    assert combined(p, told, prior, [0.9, 0.4, 0.2]) == pytest.approx(expected / expected.sum())
