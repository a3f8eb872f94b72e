"""Made-up tables of spectra: each site is one shell, so that no FEFF is needed to train on them."""

import numpy as np

from build_models.learn import families
from build_models.spectra.augment import Augmentation
from build_models.spectra.dataset import CLASSES, Dataset
from larch_cnpredict.features import K_GRID

TINY = families.Recipe(
    spectra=6, epochs=12, phase_epochs=12, members=2, copies=6, trees=8, bagged_trees=4, leaf=2, hidden=(32, 16)
)  # fmt: skip

PLAIN = Augmentation(
    thermal=False, broadening=0.0, mu0_power=0.0, s02=(1.0, 0.0), over_absorption=0.0, e0_shift=(0.0, 0.0),
    pre_edge=(0.0, 0.0), stretch=(0.0, 0.0), noise=(0.0, 0.0), glitches=0.0, residue=0.0, autobk=False, mixture=0.0,
)  # fmt: skip


def dataset(n: int = 120, numbers: tuple[int, ...] = (4, 6, 12), seed: int = 0, telling: bool = False) -> Dataset:
    """A table of n sites of Fe and Ni with clear labels drawn at random.

    Nothing in a spectrum tells its number, or, where it is `telling`, the height of its peak does.
    """
    rng = np.random.default_rng(seed)
    cn = rng.choice(numbers, n)
    r, phase, sigma2 = rng.uniform(1.8, 2.8, n), rng.uniform(0, 6, n), np.array([0, 0.012, 0.009, 0.006, 0.004, 0.002])
    wave = 5 * np.sin(2 * K_GRID * r[:, None] + phase[:, None]) / (1 + K_GRID) / r[:, None] ** 2
    wave *= cn[:, None] ** 2 / 36 if telling else 1
    variants = wave[:, None] * np.exp(-2 * sigma2[:, None] * K_GRID**2)
    return Dataset(
        variants=variants.astype(np.float32),
        elements=np.array(["Fe", "Ni"])[np.arange(n) % 2],
        formulas=np.array([f"Fe{i // 2 + 1}O" for i in range(n)]),
        sites=np.array([f"mp-{i} site 0" for i in range(n)]),
        prototypes=np.array([f"AB {i // 4}" for i in range(n)]),
        cn=cn,
        labels=np.eye(len(CLASSES), dtype=np.float32)[cn - CLASSES[0]],
        weight=np.where(np.arange(n) % 3 == 0, 0.7, 1.0),
        shell=np.array([f"O{value}" for value in cn]),
        shell_end=r,
        extra=np.zeros(n, bool),
        single=np.zeros(n, bool),
        digest=f"synthetic {n} {numbers} {seed}",
    )
