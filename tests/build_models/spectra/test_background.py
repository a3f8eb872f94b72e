"""The spline of autobk as a linear operator, beside Larch's own."""

import numpy as np
import pytest
from larch import Group
from larch.xafs import autobk

from build_models.spectra import augment, background
from larch_cnpredict import features


@pytest.mark.feff
@pytest.mark.parametrize(
    ("kend", "rbkg", "kweight"), [(14.0, 1.0, 2), (14.0, 1.4, 1), (14.0, 0.8, 1), (9.2, 1.0, 2), (12.25, 1.0, 2)]
)
def test_the_spline_is_that_of_larchs_autobk(data, kend, rbkg, kweight, monkeypatch):
    monkeypatch.setattr(background, "CHOICES", ((rbkg, kweight),))
    ends = augment.HBAR2_OVER_2M * np.arange(0, kend + 0.001, 0.05) ** 2
    energy = np.concatenate([np.arange(-150, 0, 1.0), ends]) + 7112
    k = np.sqrt(np.maximum(energy - 7112, 0) / augment.HBAR2_OVER_2M)
    for static in data.variants[:, 2]:
        mu = np.where(energy >= 7112, 1 + np.interp(k, features.K_GRID, static), 0)
        group = Group(energy=energy, mu=mu)
        autobk(group, rbkg=rbkg, kweight=kweight, ek0=7112.0, edge_step=1.0)
        ours, n = background.remove(static[None], np.array([kend]), np.random.default_rng(0))[0], len(group.chi)
        spectra = np.zeros((3, len(static)), np.float32)
        spectra[:, :n] = group.chi[:n], ours[:n], static[:n]
        limits = features.windows(np.full(3, min(kend, 12.0)), np.full(3, kend))
        larch, mine, before = np.abs(features.chir(spectra, limits, 2))
        assert np.linalg.norm(larch - mine) < 0.02 * np.linalg.norm(larch)
        assert np.linalg.norm(larch - mine) < 0.3 * np.linalg.norm(larch - before)
