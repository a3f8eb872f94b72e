"""What becomes of answers where settings are not the usual ones, or the data are spoilt: measured spectra, on purpose.

    python -m benchmarks.mistakes --measured FOLDER [--one-site] [--models FOLDER]

The folder holds index.csv and spectra of energy and mu; those of one coordination number are asked about, each after
pre_edge, autobk and xftf with one thing changed. Everything else is as in README. Answers are compared with those of
nothing changed: many of these spectra were looked at while the models were made (README says how).
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from larch import Group
from larch.xafs import autobk, pre_edge, xftf
from larch.xafs.xafsutils import KTOE
from scipy.ndimage import gaussian_filter1d
from tqdm import tqdm

from build_models.report import measured
from larch_cnpredict import predict_cn
from larch_cnpredict.domain import SURE
from larch_cnpredict.features import KMAX_DEFAULT, TRANSFORM

STEP, TRUE_STEP = 0.25, 2.0  # eV, of spectra that are made broader; edge step of a thick sample


@dataclass(frozen=True)
class Changed:
    """One thing that is not as usual."""

    data: Callable[[Group], Group] | None = None  # what happens to energy and mu, where pre_edge has been run
    e0: float = 0.0  # eV, away from where Larch finds it
    step: float = 1.0  # factor of the edge step
    background: dict[str, Any] = field(default_factory=dict)
    transform: dict[str, Any] = field(default_factory=dict)


def k_of(group: Group) -> np.ndarray:
    return np.sqrt(np.maximum(group.energy - group.e0, 0) / KTOE)


def ends_at(kmax: float) -> Callable[[Group], Group]:
    def cut(group: Group) -> Group:
        inside = k_of(group) < kmax
        return Group(energy=group.energy[inside], mu=group.mu[inside])

    return cut


def noisy(size: float) -> Callable[[Group], Group]:
    """White noise of mu, in edge steps."""

    def spoil(group: Group) -> Group:
        noise = np.random.default_rng(0).normal(0, size * group.edge_step, len(group.mu))
        return Group(energy=group.energy, mu=group.mu + noise)

    return spoil


def jump(k: float, size: float) -> Callable[[Group], Group]:
    """From k on mu is another: a crystal glitch that was not normalised, or a second edge."""
    return lambda group: Group(energy=group.energy, mu=group.mu + size * group.edge_step * (k_of(group) > k))


def spike(k: float, size: float) -> Callable[[Group], Group]:
    def spoil(group: Group) -> Group:
        mu = group.mu.copy()
        mu[np.abs(k_of(group) - k).argmin()] += size * group.edge_step
        return Group(energy=group.energy, mu=mu)

    return spoil


def over_absorption(a: float) -> Callable[[Group], Group]:
    """Fluorescence of a thick or concentrated sample."""

    def spoil(group: Group) -> Group:
        norm = (group.mu - group.pre_edge) / group.edge_step
        return Group(energy=group.energy, mu=(1 + a) * norm / (1 + a * norm))

    return spoil


def leakage(share: float) -> Callable[[Group], Group]:
    """Transmission with harmonics, or a sample with holes: a share of the beam is not absorbed."""

    def spoil(group: Group) -> Group:
        transmitted = np.exp(-TRUE_STEP * (group.mu - group.pre_edge) / group.edge_step)
        return Group(energy=group.energy, mu=-np.log((transmitted + share) / (1 + share)))

    return spoil


def stretched(by: float) -> Callable[[Group], Group]:
    """A monochromator whose energies are off by a share of their distance to the edge."""
    return lambda group: Group(energy=group.e0 + (1 + by) * (group.energy - group.e0), mu=group.mu)


def broader(width: float) -> Callable[[Group], Group]:
    """Full width of the resolution, eV."""

    def spoil(group: Group) -> Group:
        even = np.arange(group.energy[0], group.energy[-1], STEP)
        smooth = gaussian_filter1d(np.interp(even, group.energy, group.mu), width / STEP / 2.355)
        return Group(energy=group.energy, mu=np.interp(group.energy, even, smooth))

    return spoil


SETTINGS = {
    "nothing": Changed(),
    **{f"autobk kweight {kweight}": Changed(background={"kweight": kweight}) for kweight in (0, 1, 3)},
    **{f"autobk rbkg {rbkg}": Changed(background={"rbkg": rbkg}) for rbkg in (0.8, 0.9, 1.1, 1.3, 1.5)},
    "autobk without clamps": Changed(background={"clamp_lo": 0, "clamp_hi": 0}),
    **{f"e0 {e0:+d} eV": Changed(e0=e0) for e0 in (-10, -5, 5, 10)},
    **{f"edge step x {step}": Changed(step=step) for step in (0.8, 1.2)},
    **{f"xftf kmax {kmax}": Changed(transform={"kmax": kmax}) for kmax in (8.5, 10, 14)},
    **{f"xftf kweight {kweight}": Changed(transform={"kweight": kweight}) for kweight in (1, 3)},
}
DATA = {
    **{f"data end at k = {kmax}": Changed(ends_at(kmax)) for kmax in (9, 10)},
    **{f"noise {size} of the step": Changed(noisy(size)) for size in (0.001, 0.004)},
    **{f"jump of {size} at k = 8": Changed(jump(8, size)) for size in (-0.01, 0.01)},
    "spike of 0.05 at k = 8": Changed(spike(8, 0.05)),
    **{f"over-absorption a = {a}": Changed(over_absorption(a)) for a in (0.3, 1, 3)},
    **{f"leakage of {share}": Changed(leakage(share)) for share in (0.01, 0.1)},
    **{f"energies stretched by {by}": Changed(stretched(by)) for by in (-0.01, 0.01)},
    "resolution 4 eV worse": Changed(broader(4)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, required=True, help="folder of measured spectra with an index.csv")
    parser.add_argument("--one-site", action="store_true", help="tell that each sample is one site")
    parser.add_argument("--models", help="folder of models, in the place of those that ship")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = [row for row in measured._index(arguments.measured) if row["cn_kind"] == "int"]
    spectra = [measured._read(arguments.measured, row) for row in rows]
    numbers = np.array([float(row["cn"]) for row in rows])
    print(f"{len(rows)} spectra of {len({(row['element'], row['structure_key']) for row in rows})} compounds\n")
    print("| changed | right | p of 0.8 or more | of these wrong | flagged or refused | wrong |")
    print("|---|---|---|---|---|---|")
    for title, changes in (("settings", SETTINGS), ("data", DATA)):
        all_of = []
        for name, change in tqdm(changes.items(), desc=title, disable=None):
            groups = [processed(spectrum, change) for spectrum in spectra]
            answers = predict_cn(groups, errors="collect", models=arguments.models, one_site=arguments.one_site)
            all_of.append(told(answers, numbers))
            wrong = [
                f"{row['element']} {row['structure_key']}: {getattr(answer, 'cn', 'none')}"
                for row, answer, right in zip(rows, answers, all_of[-1][0], strict=True)
                if not right
            ]
            print(f"| {name} | {' | '.join(str(int(one.sum())) for one in all_of[-1])} | {', '.join(wrong)} |")
        right, sure, misled, flagged = np.array(all_of).sum((0, 2))
        print(f"| **all {title}**, {len(rows) * len(changes)} | {right} | {sure} | {misled} | {flagged} | |")


def processed(spectrum: Group, change: Changed) -> Group:
    """The way of a user, with one thing changed."""
    group = Group(energy=spectrum.energy.copy(), mu=spectrum.mu.copy(), filename=spectrum.filename)
    pre_edge(group)
    if change.data:
        group = change.data(group)
        pre_edge(group)
    if change.e0:
        pre_edge(group, e0=group.e0 + change.e0)
    group.edge_step *= change.step
    autobk(group, **{"rbkg": 1.0, "kweight": 2, "edge_step": group.edge_step} | change.background)
    settings = TRANSFORM | {"kmax": KMAX_DEFAULT} | change.transform
    xftf(group, **settings | {"kmax": min(settings["kmax"], group.k[-1])})
    return group


def told(answers: list[Any], numbers: np.ndarray) -> np.ndarray:
    """Which answers are right, sure, sure and wrong, flagged or refused: four masks."""
    kept = [None if isinstance(answer, Exception) else answer for answer in answers]
    right = np.array([answer is not None and answer.cn == cn for answer, cn in zip(kept, numbers, strict=True)])
    flagged = np.array([answer is None or not answer.in_domain for answer in kept])
    sure = np.array([answer is not None and answer.p >= SURE for answer in kept]) & ~flagged
    return np.array([right, sure, sure & ~right, flagged])


if __name__ == "__main__":
    main()
