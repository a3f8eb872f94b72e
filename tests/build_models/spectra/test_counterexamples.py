"""Counterexamples, on made-up crystals."""

import numpy as np
import pytest

from build_models.spectra.augment import Augmentation
from build_models.spectra.counterexamples import counterexamples
from build_models.spectra.dataset import CLASSES, Dataset
from larch_cnpredict import features

K = features.K_GRID


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Iron and copper with one to three shells at distances that differ from site to site."""
    rng = np.random.default_rng(1)
    n = 150
    cn = rng.choice([4, 6, 12], n)
    chi = np.zeros((n, 6, len(K)))
    for _ in range(3):
        r = rng.uniform(1.8, 5, (n, 1, 1))
        sigma2 = np.linspace(0, 0.01, 6)[None, :, None]
        wave = np.sin(2 * K * r + 0.02 * (K - 12) ** 2) * np.exp(-2 * sigma2 * K**2) / np.maximum(K, 1)
        chi += cn[:, None, None] / r**2 * wave
    labels = (cn[:, None] == CLASSES).astype(np.float32)
    return Dataset(
        variants=chi.astype(np.float32),
        elements=np.where(np.arange(n) % 2, "Fe", "Cu"),
        formulas=np.array([f"X{i // 3}" for i in range(n)]),
        sites=np.array([f"mp-{i} site 0" for i in range(n)]),
        prototypes=np.array([f"A{i // 3}" for i in range(n)]),
        cn=cn,
        labels=labels,
        weight=np.ones(n),
        shell=np.array([f"O{c}" for c in cn]),
        shell_end=np.full(n, 2.5),
        digest="made",
    )


def test_counterexamples_are_as_high_as_exafs_and_of_all_kinds(data):
    plain = Augmentation(
        thermal=False, broadening=0.0, mu0_power=0.0, s02=(1.0, 0.0), over_absorption=0.0, e0_shift=(0.0, 0.0),
        pre_edge=(0.0, 0.0), stretch=(0.0, 0.0), noise=(0.0, 0.0), glitches=0.0, residue=0.0, autobk=False,
    )  # fmt: skip
    chi, elements, kmax, kend = counterexamples(data, 400, np.random.default_rng(2), plain)
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
