"""Spectra of single scattering, without a run of FEFF: some milliseconds a site, so every labelled site has one.

What a neighbour scatters depends on its element, on the absorber and on their distance, and little on what else is in
the crystal. So amplitudes and phases of pairs are taken from paths that FEFF has calculated elsewhere. |chi(R)| of
a first shell is off by some 15 % (`python -m benchmarks.feff --paths`); beyond it all multiple scattering is missing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from build_models.config import Config, ConfigError, FeffSettings, short_hash
from build_models.data import paths, structures, table, work
from build_models.data.feff import FeffError
from build_models.data.paths import Paths
from build_models.spectra.dataset import CLASSES, MOST_ALIKE

OF_RUN, OF_PAIR = 6, 400  # paths of a pair of elements that are kept, from one run of FEFF and in all
NORMAN = 1.4  # Å: the mean Norman radius of crystals, for the correlated Debye model
ABSORBER_COUNTS = 3  # times as much as the neighbour, where a pair is missing and the nearest in Z stands for it
PROGRAM = "single scattering, with amplitudes and phases of pairs from FEFF8L's paths"


@dataclass(frozen=True)
class Pairs:
    """Paths from an absorber to one neighbour and back, at points of k, without what distance makes of them."""

    k: np.ndarray  # (e,) Å^-1
    momentum: np.ndarray  # (e,) Å^-1, complex
    # Z of absorber and neighbour: distances (n,), Å; amplitude times distance squared, without loss on the way, (n, e);
    # phase (n, e); loss (n, e) Å^-1, the imaginary part of the momentum
    known: dict[tuple[int, int], tuple[np.ndarray, ...]]

    def nearest(self, absorber: int, neighbour: int) -> tuple[np.ndarray, ...]:
        """The pair, or that of the elements nearest in Z."""
        if (absorber, neighbour) in self.known:
            return self.known[absorber, neighbour]
        far = {pair: ABSORBER_COUNTS * abs(pair[0] - absorber) + abs(pair[1] - neighbour) for pair in self.known}
        return self.known[min(far, key=far.__getitem__)]


@cache
def pairs(files: tuple[Path, ...]) -> Pairs:
    """Those of all paths that the files keep."""
    k, momentum = np.zeros(0), np.zeros(0, complex)
    found: dict[tuple[int, int], list[tuple]] = defaultdict(list)
    for _, run in paths.load(files):
        if not len(k):
            k, momentum = run.k, run.momentum
        loss = np.interp(k, run.k, run.momentum.imag)
        of_run: dict[tuple[int, int], int] = defaultdict(int)
        for i in np.flatnonzero(run.legs == 2):
            pair = int(run.numbers[0]), int(run.numbers[run.potentials[i, 0]])
            if of_run[pair] < OF_RUN and len(found[pair]) < OF_PAIR:
                of_run[pair] += 1
                amplitude, phase = (np.interp(k, run.k, curve[i]) for curve in (run.amplitude, run.phase))
                r = run.reff[i]
                found[pair].append((r, amplitude * r**2 * np.exp(2 * r * loss), phase, loss))
    return Pairs(k, momentum, {pair: tuple(map(np.array, zip(*some, strict=True))) for pair, some in found.items()})


def scattering(files: tuple[Path, ...], structure: Structure, site_index: int, settings: FeffSettings) -> Paths:
    """The paths to each neighbour within RPATH and back; those of one element and distance are one."""
    known, center = pairs(files), structure[site_index]
    groups: dict[tuple[int, float], list[np.ndarray]] = defaultdict(list)
    for site in structure.get_neighbors(center, settings.rpath):
        groups[site.specie.Z, round(site.nn_distance, 3)].append(site.coords - center.coords)
    if not groups:
        raise FeffError("no neighbours")
    numbers, reff = np.array([*groups]).T
    kinds, which = np.unique(numbers.astype(int), return_inverse=True)
    positions, potentials = np.zeros((len(reff), 2, 3)), np.zeros((len(reff), 2), int)
    positions[:, 0], potentials[:, 0] = [some[0] for some in groups.values()], which + 1
    amplitude, phase = np.zeros((2, len(reff), len(known.k)))
    for i, number in enumerate(kinds):
        rows = np.flatnonzero(which == i)
        distances, amplitudes, phases, loss = known.nearest(center.specie.Z, int(number))
        alike, r = np.abs(distances - reff[rows, None]).argmin(axis=1), reff[rows, None]
        amplitude[rows] = amplitudes[alike] / r**2 * np.exp(-2 * r * loss[alike])
        phase[rows] = phases[alike]
    return Paths(
        known.k, known.momentum, NORMAN, np.array([center.specie.Z, *kinds]), np.zeros((1, 3)), np.zeros(1, int),
        np.full(len(reff), 2), np.array([*map(len, groups.values())]), reff, positions, potentials, amplitude, phase,
    )  # fmt: skip


def simulate(config: Config) -> Path:
    """Spectra of all labelled sites that FEFF was not run on, and their table, with labels as in those of spectra."""
    files = tuple(path for stage in ("defects", "simulate") for path in paths.kept(config.out / stage))
    if not files:
        raise ConfigError(f"{config.out} keeps no paths: run stage simulate with [run] keep_paths, or stage defects")
    todo = missing(config)
    wanted = structures.iterate(config.out / "structures.parquet", config.limit)
    sites = ((structures.named(row), todo[name]) for row in wanted if (name := row["material_id"]) in todo)
    digest = short_hash(" ".join(sorted(map(table.sha256, files))))
    work.spectra(config, "single", sites, sum(map(len, todo.values())), partial(scattering, files), digest)
    good, failures = table.parted(table.finished(config, "single"))
    spectra = table.labelled(table.finished(config, "label"), good)
    said, words = table.made_with(config) | {"program": PROGRAM}, f", with pairs from {len(files)} files of paths"
    return table.finish(config.out / "single.parquet", spectra, said, failures, words)


def missing(config: Config) -> dict[str, list[int]]:
    """Sites to be done of each material: of those that have no spectrum, a few of one formula, absorber and number."""
    labels, _ = table.parted(table.finished(config, "label"))
    sites = labels.to_pandas().set_index(table.KEY)
    known = table.keys(config.order.skip)
    if any((config.out / "simulate").glob("*.parquet")):
        run = table.finished(config, "simulate", [*table.KEY, "reason"])  # and not their spectra and paths
        known.update(table.key_list(table.parted(run)[0]))
    new = np.array([key not in known for key in sites.index], bool)
    sites = sites[new & sites["cn"].isin(CLASSES)]
    sites = sites[sites.groupby(["formula", "absorber", "cn"]).cumcount() < MOST_ALIKE]
    done = table.done(config, "single")
    return table.by_material(key for key in sites.index if key not in done)
