"""predict_cn on particles that are known to the atom: Cu and Ni, cuboctahedra and icosahedra of 55 and 147 atoms.

    python -m benchmarks.particles [--models FOLDER]

FEFF8L calculates each distinct site; chi(k) is the mean over the atoms, damped by the correlated Debye model at 300 K
with Debye temperatures of 300 and 450 K, times s02 = 0.9. There is no noise, no contraction, and no disorder but the
thermal one. Neighbours are counted within 1.2 nearest distances. predict_cn is told the absorber alone, and then s02.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from joblib import Parallel, delayed
from larch import Group
from larch.xafs import xftf

from build_models.config import FeffSettings
from build_models.data.feff import run_paths, variants
from build_models.data.particles import STABLE, Particle, cut, shape_points
from larch_cnpredict import predict_cn
from larch_cnpredict.features import K_GRID, KMAX_DEFAULT, TRANSFORM

FEFF = FeffSettings(debye_temperatures=(300.0, 450.0))
S02 = 0.9


def known() -> Iterator[Particle]:
    """The particles, of the crystals' own distances."""
    for metal in ("Cu", "Ni"):
        _, lattice, first, _ = STABLE[metal]
        for shape in ("cuboctahedron", "icosahedron"):
            for atoms in (55, 147):
                points = cut(*shape_points(lattice, shape), atoms, atoms, np.random.default_rng(0))
                assert points is not None
                yield Particle(np.full(atoms, metal), points, lattice, shape, first / 2**0.5, 0.0, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="folder of models, in the place of those that ship")
    arguments = parser.parse_args()
    every = list(known())
    sites = [one.sites(one.symbols[0], len(one.points), np.random.default_rng(0)) for one in every]
    todo = [(one.structure(), i) for one, own in zip(every, sites, strict=True) for i in own]
    calculated = iter(Parallel(-1)(delayed(_chi)(*what) for what in todo))
    print("| particle | Debye, K | neighbours | mean said | interval | kind | mean, told s02 |")
    print("|---|---|---|---|---|---|---|")
    off, held, off_told = [], [], []
    for one, own in zip(every, sites, strict=True):
        weights = np.array(list(own.values())) / len(one.points)
        truth = float(one.counted.mean())
        chi = np.tensordot(weights, np.array([next(calculated) for _ in own]), 1)
        for theta, warm in zip(FEFF.debye_temperatures, chi, strict=True):
            group = Group(k=K_GRID.copy(), chi=S02 * warm)
            xftf(group, **TRANSFORM | {"kmax": KMAX_DEFAULT})
            told = predict_cn(group, element=one.composition, reference=S02, models=arguments.models).cn_mean
            says = predict_cn(group, element=one.composition, models=arguments.models)
            low, high = says.cn_mean_interval
            print(
                f"| {one.composition}{len(one.points)} {one.shape} | {theta:g} | {truth:.2f} | {says.cn_mean:.2f} "
                f"| {low:.1f} to {high:.1f} | {says.kind} | {told:.2f} |"
            )
            off.append(abs(says.cn_mean - truth))
            off_told.append(abs(told - truth))
            held.append(low <= truth <= high)
    print(
        f"\n{len(off)} spectra: off by {np.mean(off):.2f}, at worst by {np.max(off):.2f}, {sum(np.array(off) > 1)} by "
        f"more than 1; {sum(held)} intervals hold; with s02 told off by {np.mean(off_told):.2f}, at worst by "
        f"{np.max(off_told):.2f}"
    )


def _chi(structure, site):
    return variants(run_paths(structure, site, FEFF), FEFF)[1:]


if __name__ == "__main__":
    main()
