"""The spline of autobk as a linear operator, beside Larch's own."""

import numpy as np
import pytest
from larch import Group
from larch.xafs import autobk
from larch.xafs.xafsutils import KTOE

from build_models.spectra import background
from larch_cnpredict import features
from larch_cnpredict.features import K_GRID


@pytest.mark.feff
@pytest.mark.parametrize(
    ("kend", "rbkg", "kweight"), [(14.0, 1.0, 2), (14.0, 1.4, 1), (14.0, 0.8, 1), (9.2, 1.0, 2), (12.25, 1.0, 2)]
)
def test_the_spline_is_that_of_larchs_autobk(data, kend, rbkg, kweight, monkeypatch):
    monkeypatch.setattr(background, "CHOICES", ((rbkg, kweight),))
    ends = KTOE * np.arange(0, kend + 0.001, 0.05) ** 2
    energy = np.concatenate([np.arange(-150, 0, 1.0), ends]) + 7112
    k = np.sqrt(np.maximum(energy - 7112, 0) / KTOE)
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


def test_each_spectrum_loses_the_spline_of_its_own_end_and_choice():
    rng, kend = np.random.default_rng(0), np.array([9.49, 14.02, 16.49] * 20)
    chi = rng.normal(size=(60, 361)).astype(np.float32)
    lost, used = chi - background.remove(chi, kend, rng), set()
    for one, before, end in zip(lost, chi, [9.5, 14.0, 16.5] * 20, strict=True):
        off = []
        for choice in background.CHOICES:
            basis, values = background.operator(end, *choice)
            expected = np.pad(basis @ (values @ before[: len(basis)]), (0, 361 - len(basis)))
            off.append(np.abs(one - expected).max())
        assert min(off) < 1e-4
        assert not one[end + 0.02 < K_GRID].any()
        used.add(background.CHOICES[np.argmin(off)])
    assert len(used) > 8
