"""Is this a spectrum that the models know, and if not, why not? And which known sites look most like it?

The space is that of |chi(R)| from 1 to 6 Å: its square root (so that a strong first shell does not drown all else),
reduced to principal components. A spectrum is far out when the nearest training site is farther than for all but a few
of held-out materials. `REASONS` has more measures, which catch what a distance may miss.
"""

import re
from collections.abc import Set
from functools import cache
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import expit

from .features import ELEMENTS, R_POOLED
from .reading import FIRST_SHELL_R, high_peaks
from .spectrum import Spectrum

Arrays = dict[str, np.ndarray]  # of domain.npz
N_COMPONENTS = 24
NOISE_R = (8.0, 10.0)  # Å: little but noise is left of chi(R) here
RBKG_USUAL = 1.0  # Å; nobody is asked to go below
SURE = 0.8  # answers less probable than this mislead nobody, and their spectra are mostly noisy or unusual
# Shells are said where so many of so many known sites agree on them. For known sites, without those of their formula:
# where the nearest has two, these are right in 32 of 100; where five of six agree in 84, and one in eight is found.
AGREE, ASKED = 5, 6
SHOWN = 5  # known sites that are named
KNOWN = ("site", "formula", "cn", "shell")  # arrays: what a `Prediction` says of known sites
SHELLS = ("shell_counts", "shell_distances")  # arrays, of the same sites
HALF_PEAK = 0.25  # Å: a peak of |chi(R)| with kmax near 12 Å^-1 is about twice as wide at half its height
REASONS = {
    "distance": "no training spectrum of {element} looks like it",
    "residual": "chi(R) has features that no training spectrum has: look for glitches, a bad background, a wrong edge",
    "noise": "the noise is too high for the claim: |chi(R)| at 8 to 10 Å is {value:.0%} of the first shell's peak",
    "unlike": "phases and heights of chi(R) do not go together as in EXAFS of {element}: "
    "is the sign of chi right, was chi normalised by the edge step, is the background good?",
    "weak": "there is no first shell: the highest peak of |chi(R)| from 1 to 3.3 Å is {peak:.2g} Å^-3; "
    "was chi normalised, and k-weighted by 2?",
    "strong": "the first shell is too strong: the highest peak of |chi(R)| is {peak:.2g} Å^-3; "
    "was chi normalised, and k-weighted by 2?",
    "rbkg": "autobk with rbkg = {rbkg:g} Å took part of the first peak of |chi(R)|, at {first:.2f} Å, for background: "
    "run it with rbkg = 1",
}


def shape(pooled_magnitude: np.ndarray) -> np.ndarray:
    """(n, 167) array of |chi(R)| to the space whose distances mean something."""
    return np.asarray(np.sqrt(np.maximum(pooled_magnitude, 0)))


def coordinates(pooled_magnitude: np.ndarray, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (n, 24), and the root mean square of what they leave (n,)."""
    centered = shape(pooled_magnitude) - arrays["center"]
    components = centered @ arrays["components"].T
    left = centered - components @ arrays["components"]
    return components, np.sqrt((left**2).mean(1))


def nearest(
    components: np.ndarray,
    arrays: Arrays,
    element: int,
    count: int,
    cn: int | None = None,
    told: Set[str] = frozenset(),
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the index and distances of the nearest training sites of one absorber (and number), for (n, 24).

    `told`: only those in crystals of these elements, if any are told, of which there may be none.
    """
    rows = np.flatnonzero((arrays["element"] == element) & (True if cn is None else arrays["cn"] == cn))
    if told:
        rows = rows[[elements(formula) <= told for formula in arrays["formula"][rows].tolist()]]
    distances = cdist(components, arrays["index"][rows])
    order = distances.argsort(axis=1)[:, :count]
    return rows[order], np.take_along_axis(distances, order, axis=1)


@cache
def elements(formula: str) -> frozenset[str]:
    """The elements of a formula of the index."""
    return frozenset(re.findall("[A-Z][a-z]?", formula))


def known_magnitude(arrays: Arrays, element: str, site: str) -> np.ndarray:
    """|chi(R)| of a training site at `features.R_POOLED`, (167,), as far as its principal components hold it."""
    (row,) = np.flatnonzero((arrays["site"] == site) & (arrays["element"] == ELEMENTS.index(element)))
    return np.asarray(np.maximum(arrays["center"] + arrays["index"][row] @ arrays["components"], 0) ** 2)


def resolved_shells(components: np.ndarray, arrays: Arrays, element: int, cn: int) -> list[dict[str, Any]]:
    """The two shells that the nearest known sites with this number agree on, as `Prediction.cn_shells` has them."""
    if SHELLS[0] not in arrays:  # nobody named the crystals that these models are of
        return []
    rows = nearest(components, arrays, element, ASKED, cn)[0][0]
    counts, distances = (arrays[name][rows] for name in SHELLS)
    for i in range(len(rows) - AGREE + 1):  # of those that agree, the nearest
        first, second = counts[i].tolist()
        if (counts == counts[i]).all(1).sum() >= AGREE and second and cn in (first, first + second):
            shells = zip(counts[i].tolist(), distances[i].tolist(), strict=True)
            formula = arrays["formula"][rows[i]].item()
            return [{"count": n, "distance": round(distance, 2), "formula": formula} for n, distance in shells]
    return []


def unlike_inputs(x: np.ndarray, arrays: Arrays) -> np.ndarray:
    """Brought to one scale; what is ten times too high must not drown all else."""
    return np.asarray(np.arcsinh((x - arrays["unlike_center"]) / arrays["unlike_scale"]))


def unlike_exafs(x: np.ndarray, arrays: Arrays) -> np.ndarray:
    """How probably chi(R) is no sound EXAFS, were every second spectrum none: (n, 1514) `complex_features` to (n,).

    A small network of two hidden layers learnt to tell the spectra of the training set from waves, bumps and coloured
    noise of the same height, and from EXAFS with the wrong sign or the wrong scale.
    """
    values = hidden = unlike_inputs(x, arrays)
    for i in range(3):  # einsum, for a matrix product this small would wake all of BLAS's threads
        values = np.einsum("ij,kj->ik", hidden, arrays[f"unlike_weight{i}"]) + arrays[f"unlike_bias{i}"]
        hidden = np.maximum(values, 0)
    return np.asarray(expit(values[:, 0].astype(float)))


def peak_and_noise(r: np.ndarray, chir_mag: np.ndarray) -> tuple[float, float]:
    """Height of the first shell, Å^-3, and |chi(R)| at high R as a share of it (0 where the data end before)."""
    peak = float(chir_mag[(r >= FIRST_SHELL_R[0]) & (r <= FIRST_SHELL_R[1])].max(initial=0.0))
    high = chir_mag[(r >= NOISE_R[0]) & (r <= NOISE_R[1])]
    noise = float(np.sqrt((high**2).mean())) if len(high) > 10 else 0.0
    return peak, noise / max(peak, 1e-9)


def judge(
    spectra: list[Spectrum], inputs: dict[str, np.ndarray], arrays: Arrays, sure: np.ndarray, cn: np.ndarray
) -> list[tuple[list[str], dict[str, Any]]]:
    """Hold each spectrum against the thresholds of domain.npz; phases where they are there and the answer is sure.

    Reasons why it is outside, and what a `Prediction` has of it: domain_score, neighbours, cn_shells for
    its `cn`.
    """
    components, residual = coordinates(inputs["magnitude"][:, : len(R_POOLED)], arrays)
    unlike, phases = np.zeros(len(spectra)), sure & np.isfinite(inputs["complex"]).all(1)
    unlike[phases] = unlike_exafs(inputs["complex"][phases], arrays)
    verdicts = []
    for i, spectrum in enumerate(spectra):
        element = ELEMENTS.index(spectrum.element)
        place = components[i : i + 1]
        rows, distance = (one[0] for one in nearest(place, arrays, element, SHOWN))
        farthest = distance[0] / arrays["distance"]
        if spectrum.composition:  # known sites of the same elements come first
            alike, away = nearest(place, arrays, element, SHOWN, told=spectrum.composition.amounts.keys())
            others = ~np.isin(rows, alike)
            rows, distance = np.append(alike, rows[others])[:SHOWN], np.append(away, distance[others])[:SHOWN]
        peak, noise = peak_and_noise(spectrum.r, spectrum.chir_mag)
        weakest, strongest = arrays["peak_range"][element]
        first, rbkg = high_peaks(spectrum.r, spectrum.chir_mag).min(initial=np.inf), spectrum.rbkg or 0.0
        measured = {
            "distance": farthest,
            "residual": residual[i] / arrays["residual"],
            "noise": noise / arrays["noise"],
            "unlike": unlike[i] / arrays["unlike"],
            "weak": weakest / max(peak, 1e-9),
            "strong": peak / strongest,
            "rbkg": (rbkg + HALF_PEAK) / first if rbkg > RBKG_USUAL else 0.0,
        }
        words = {"element": spectrum.element, "value": noise, "peak": peak, "rbkg": rbkg, "first": first}
        reasons = [REASONS[name].format(**words) for name, value in measured.items() if value > 1]
        found = {
            "domain_score": float(max(measured.values())),
            "neighbours": [
                {name: arrays[name][row].item() for name in KNOWN} | {"distance": round(float(d), 3)}
                for row, d in zip(rows, distance, strict=True)
            ],
            "cn_shells": resolved_shells(place, arrays, element, int(cn[i])),
        }
        verdicts.append((reasons, found))
    return verdicts
