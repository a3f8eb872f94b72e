"""What reading mu(E) again with rbkg = 0.7 Å is worth, where a first peak lies near the user's rbkg.

    python -m benchmarks.reading TABLE [TABLE ...]

The tables are of spectra by FEFF8L that the models have not learnt from (docs/retrain.md, "Materials that nothing has
learnt from"). Each site becomes mu(E) with noise, damping and a bent background, goes through Larch as a user takes it,
and is read as the user has it and again.
"""

import argparse
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from larch import Group
from larch.xafs import autobk, pre_edge, xftf
from larch.xafs.xafsutils import KTOE
from scipy.special import erf
from tqdm import tqdm

from build_models.spectra import augment, dataset
from build_models.spectra.augment import Augmentation
from build_models.spectra.samples import in_the_beam
from larch_cnpredict import CNPredictError
from larch_cnpredict.absorber import k_edge
from larch_cnpredict.features import K_GRID
from larch_cnpredict.models import load_models
from larch_cnpredict.predict import predict_spectra
from larch_cnpredict.request import Request
from larch_cnpredict.spectrum import read_spectrum

RBKG = (1.0, 1.2, 1.4)  # Å
KWEIGHT = (1, 2)  # of autobk: Larch's default, and what most people set


def mu_of(element: str, chi: np.ndarray, kend: float, rng: np.random.Generator) -> Group:
    """mu(E) of a K edge with this chi(k), on `K_GRID`."""
    e0 = k_edge(element) + rng.normal(0, 1)
    above = KTOE * np.arange(2.8, kend, 0.04) ** 2
    energy = e0 + np.concatenate([np.arange(-150, -20, 5.0), np.arange(-20, above[0], 0.4), above])
    k = np.sqrt(np.maximum(energy - e0, 0) / KTOE)
    wiggles = np.interp(k, K_GRID, chi) * np.clip(k / 1.5, 0, 1)
    step = 0.5 * (1 + erf((energy - e0) / 2)) * (energy / e0) ** -2.7  # as mu0 falls
    return Group(energy=energy, mu=0.3 - 6e-5 * (energy - e0) + step * (1 + wiggles), filename=element)


def both_readings(group: Group, rbkg: float, kweight: int, kmax: float) -> list[Any] | None:
    """The answers for what is read again and for the group's own; None where nothing is read again."""
    pre_edge(group)
    autobk(group, rbkg=rbkg, kweight=kweight)
    xftf(group, kmin=3, kmax=min(kmax, group.k[-1]), kweight=2, dk=1, window="hanning")
    spectrum = read_spectrum(group, Request(element=group.filename))
    if not spectrum.made.startswith("rbkg"):
        return None
    alone = [replace(one, others=()) for one in (spectrum, *spectrum.others)]
    return predict_spectra(alone, Request(), load_models())


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.reading", description=__doc__)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    data = dataset.load(arguments.tables)
    rng = np.random.default_rng(arguments.seed)
    # autobk and e0 are Larch's own here
    how = replace(in_the_beam(Augmentation()), autobk=False, pre_edge=(0, 0), e0_shift=(0, 0), over_absorption=0)
    kmax, kend = augment.limits(len(data), rng, how.kmax)
    chi = augment.in_the_sample(data, np.arange(len(data)), rng, how)
    chi = augment.at_the_beamline(chi, data.elements, kend, rng, how, augment.draw_s02(data.elements, rng, how))
    groups = [mu_of(str(e), one, end, rng) for e, one, end in zip(data.elements, chi, kend, strict=True)]
    warnings.simplefilter("ignore")
    for rbkg in RBKG:
        read = []
        for i, group in enumerate(tqdm(groups, f"rbkg = {rbkg} Å", leave=False)):
            try:
                answers = both_readings(group, rbkg, KWEIGHT[i % 2], kmax[i])
            except CNPredictError:
                continue
            if answers:
                read.append((data.cn[i], *answers))
        differ = [(cn, again, own) for cn, again, own in read if again.cn != own.cn]
        print(f"rbkg = {rbkg} Å: {len(read)} of {len(groups)} spectra have a first peak near it and are read again:")
        for name, some in (("all", read), ("where the number is another one", differ)):
            again, own = (sum(cn == one[i].cn for cn, *one in some) for i in (0, 1))
            sets = {"of what is read again": [(cn, set(one.cn_set)) for cn, one, _ in some]}
            sets["of both"] = [(cn, {*one.cn_set, *other.cn_set}) for cn, one, other in some]
            print(f"  {name}: {len(some)}, right {again} read again and {own} as they are; 90 % sets")
            for what, pairs in sets.items():
                held, size = sum(cn in one for cn, one in pairs), np.mean([len(one) for _, one in pairs])
                print(f"    {what} hold {held}, with {size:.1f} members")


if __name__ == "__main__":
    main()
