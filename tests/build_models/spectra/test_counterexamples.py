"""Counterexamples, on made-up crystals."""

from dataclasses import replace

import numpy as np
import pytest

from build_models.spectra.counterexamples import counterexamples
from build_models.spectra.dataset import Dataset
from larch_cnpredict import features
from tests.build_models import synthetic

K = features.K_GRID


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Sites of three shells at distances that differ from site to site."""
    rng = np.random.default_rng(1)
    table = synthetic.dataset(150)
    n, chi = len(table), np.zeros(table.variants.shape)
    for _ in range(3):
        r = rng.uniform(1.8, 5, (n, 1, 1))
        sigma2 = np.linspace(0, 0.01, 6)[None, :, None]
        wave = np.sin(2 * K * r + 0.02 * (K - 12) ** 2) * np.exp(-2 * sigma2 * K**2) / np.maximum(K, 1)
        chi += table.cn[:, None, None] / r**2 * wave
    return replace(table, variants=chi.astype(np.float32))


def test_of_few_sites_there_are_few(data):
    assert len(counterexamples(data, 1, np.random.default_rng(2), synthetic.PLAIN)[0]) == 1


def test_counterexamples_are_as_high_as_exafs_and_of_all_kinds(data):
    chi, elements, kmax, kend, _ = counterexamples(data, 400, np.random.default_rng(2), synthetic.PLAIN)
    known = data.variants[:, 0]
    projections = chi @ known.T
    share = projections / (known**2).sum(1)  # of each known spectrum in it
    alike = projections / np.linalg.norm(chi, axis=1)[:, None] / np.linalg.norm(known, axis=1)
    rows, best = np.arange(400), np.abs(alike).argmax(1)
    exact = np.abs(np.abs(alike[rows, best]) - 1) < 1e-4
    factor = share[rows, best][exact]
    assert np.isclose(factor, -1, atol=1e-3).sum() == 100
    assert ((factor > 2) & (factor < 4)).sum() == 100
    r = features.larch_r()
    first = (r > 1) & (r < 3.3)
    magnitude = np.abs(features.chir(chi, features.windows(kmax, kend), 2))[:, first].max(1)
    taper = features.windows(np.full(len(known), 12.0), np.full(len(known), 14.0))
    usual = np.abs(features.chir(known, taper, 2))[:, first].max(1)
    assert set(elements) == set(data.elements)
    assert 0.5 < np.median(magnitude[~exact]) / np.median(usual) < 2
