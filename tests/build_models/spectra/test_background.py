"""The spline of autobk as a linear operator, beside Larch's own."""

import numpy as np
import pytest
from larch import Group
from larch.xafs import autobk

from build_models.spectra import augment, background
from larch_cnpredict import features


@pytest.mark.feff
@pytest.mark.parametrize(("rbkg", "kweight"), [(1.0, 2), (1.4, 1), (0.8, 1)])
def test_the_spline_is_that_of_larchs_autobk(data, rbkg, kweight):
    energy = np.concatenate([np.arange(-150, 0, 1.0), augment.HBAR2_OVER_2M * np.arange(0, 14.001, 0.05) ** 2]) + 7112
    k = np.sqrt(np.maximum(energy - 7112, 0) / augment.HBAR2_OVER_2M)
    for static in data.variants[:, 2]:
        mu = np.where(energy >= 7112, 1 + np.interp(k, features.K_GRID, static), 0)
        group = Group(energy=energy, mu=mu)
        autobk(group, rbkg=rbkg, kweight=kweight, ek0=7112.0, edge_step=1.0)
        basis, values = background.operator(14.0, rbkg, kweight)
        n = min(len(basis), len(group.chi))
        ours = static.copy()
        ours[: len(basis)] -= basis @ (values @ static[: len(basis)])
        spectra = np.zeros((3, len(static)), np.float32)
        spectra[:, :n] = group.chi[:n], ours[:n], static[:n]
        limits = features.windows(np.full(3, 12.0), np.full(3, 14.0))
        larch, mine, before = np.abs(features.chir(spectra, limits, 2))
        assert np.linalg.norm(larch - mine) < 0.02 * np.linalg.norm(larch)
        assert np.linalg.norm(larch - mine) < 0.3 * np.linalg.norm(larch - before)
