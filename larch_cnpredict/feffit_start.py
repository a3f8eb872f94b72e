"""From an answer to a fit: a path of the first shell, by FEFF8L, and parameters in which the number is the prior."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from larch import Group
from larch.fitting import param, param_group
from larch.xafs import feffit, feffit_dataset, feffit_transform
from xraydb import atomic_number, atomic_symbol

from . import composition
from .absorber import as_number
from .composition import NOBLE
from .errors import BadArrayError, MissingArrayError, OptionError, boundary
from .feff import feff_paths
from .predict import current_answers, resolve
from .reading import high_peaks
from .reference import BAD_FIT
from .result import ONE_SITE, Prediction
from .spectrum import read_spectrum

PHASE_SHIFT = 0.4  # Å: a peak of |chi(R)| lies about so far below its distance
SHORTEST = 1.5  # Å: no bond of a 3d metal is shorter, and what peaks below is left of the background
# What peaks before the first shell is left of the background, and fits many times worse; a far shell may fit a little
# better than the first: of 23 measured compounds the first fits worst in MnO, by 2.6.
CLEARLY = 4.0
# Neighbours, where the answer sets no bounds. Without any, chi is 0 whatever e0 and deltar are: a fit that went there
# while these were wrong would not come back.
FEWEST, MOST = 0.5, 24.0
S02 = 0.85
S02_ERROR = 0.3  # relative: fits of known structures find s02 from 0.53 to 1.2, and N takes up what it is off by
# R factors of metals that no fit tells apart, as they scatter alike: one by the other, and what a good one has (of
# measured foils up to 0.011)
ALIKE, GOOD = 1.5, 0.011


def first_shell(
    group: Any, neighbour: str | None = None, s02: float | None = None, folder: str | Path | None = None,
    _larch: Any = None,
) -> Group:  # fmt: skip
    """Start a fit of the first shell: a path of FEFF8L, and parameters in which the predicted number is the prior.

        shell = first_shell(data)
        print(feffit_report(feffit(shell.params, shell.dataset)))

    Parameters
    ----------
    group : Group, or its name
        after autobk and xftf; predict_cn is run first where it was not, or where the group has changed since
    neighbour : str, optional
        element of the neighbours, such as 'O'; by default the commonest in the nearest known sites
    s02 : float, optional
        amplitude reduction factor, kept in the fit, which cannot tell it from N; by default that of predict_cn's
        `reference`, else 0.85
    folder : path, optional
        where FEFF's files stay, in a folder of their own; by default they are removed again

    Returns
    -------
    Group : params (s02, N, e0, deltar, sigma2), path, dataset; distance (Å) and rfactor, of a first fit; neighbour, and
        share: how many neighbours in the nearest known sites are of its row of the periodic table, None if you named
        it; paths: with a second one and sigma2_far where the metal is of 8 + 6; notes: what you should know of the fit,
        such as an N that its error does not bring into the 90 % interval of predict_cn

    Notes
    -----
    N starts at cn_mean and is held to its 90 % interval, 30 % wider at both ends since s02 is not better known than
    that; to 0.5 to 24 where s02 is given, or where the answer is outside what the models know. The path's amplitude is
    N * s02. What predict_cn read with an e0 or rbkg of its own is fitted as it was read. Each high peak of |chi(R)|
    below 3.3 Å is tried as the first shell; the nearest that fits is taken, if its e0 does not stop at the bound.
    Where the composition was told, the neighbour is one of its elements, if the nearest known sites have any. FEFF gets
    rock salt of absorber and neighbour, whatever the number; of a transition metal it gets the face-centred cubic one,
    or the body-centred one of 8 + 6 where CN is 8, with the absorber in it. Of metals that fit alike the absorber is
    taken where no composition was told. Phases of other crystals differ as if the distance were 0.01 Å off, amplitudes
    by 5 % (of metals in rock salt they are 4 to 9 % too high). Nothing but cn_predict is written to the group.
    """
    with boundary("what was given"):
        group = resolve(group, _larch)
        if s02 is not None and (as_number(s02) or 0.0) <= 0:
            raise OptionError("s02", s02, "a number above 0")
        (answer,) = current_answers([group])
        s02 = answer.request.reference if s02 is None else s02
        spectrum = read_spectrum(group, answer.request)
        if getattr(group, "chi", None) is None:
            raise MissingArrayError(spectrum.name, "k and chi", "feffit reads them; run autobk")
        peaks = high_peaks(spectrum.r, spectrum.chir_mag)
        if not len(peaks := peaks[peaks + PHASE_SHIFT > SHORTEST]):
            raise BadArrayError(spectrum.name, "chir_mag", "has no peak below 3.3 Å: there is no first shell to fit")
        share = None
        if neighbour is None:
            neighbour, share = common_neighbour(answer)
        elif neighbour not in [atomic_symbol(z) for z in range(1, 93)]:
            raise OptionError("neighbour", neighbour, "the symbol of an element, such as 'O'")
        read = group if spectrum.chi is None else spectrum
        data, notes = Group(k=np.asarray(read.k, float), chi=np.asarray(read.chi, float)), []
        if not np.array_equal(data.chi, group.chi):
            alike = "give autobk the same for a fit of the group's own"
            notes.append(f"fitted is chi(k) as predict_cn read it, with {spectrum.made}: {alike}")
        best = fit_nearest(data, answer, neighbour, s02, peaks)
        if share is not None and neighbour != answer.element and same_row(neighbour, answer.element):
            itself = fit_nearest(data, answer, answer.element, s02, peaks)
            metal = composition.is_transition_metal(neighbour) and not answer.composition  # which says more
            alike = itself.rfactor <= (max(ALIKE * best.rfactor, GOOD) if metal else best.rfactor / CLEARLY)
            if "e0" not in stopped(itself) and (alike or "e0" in stopped(best)):
                best, neighbour = itself, answer.element
        paths = feff_shell(answer, neighbour, best.distance, folder)
        fit = feffit(*start(data, answer, paths, s02))
        notes += remarks(answer, neighbour, s02, fit, float(best.rfactor))
        params, dataset = start(data, answer, paths, s02)  # feffit has written to those that it got
        told = {"neighbour": neighbour, "share": share, "distance": paths[0].reff, "rfactor": float(best.rfactor)}
        return Group(params=params, path=paths[0], paths=paths, dataset=dataset, notes=notes, **told)


def remarks(answer: Prediction, neighbour: str, s02: float | None, fit: Group, rfactor: float) -> list[str]:
    """What you should know of the fit and of the answer that it starts from; the R factor is that of the first fit."""
    notes = [] if answer.in_domain else [f"the answer is outside what the models know: {answer.reason}"]
    if at := " and ".join(f"{name} = {fit.params[name].value:.3g}" for name in stopped(fit)):
        notes.append(f"in the fit {at} stopped at the bound: do not rely on it")
    if rfactor > BAD_FIT:
        why = "the neighbours may be of another element or at several distances, the data noisy or their e0 off"
        notes.append(f"R factor {rfactor:.2f}: not a good fit; {why}")
    number, (low, high) = fit.params["N"], answer.interval
    error = number.stderr or np.nan  # feffit does not always find one
    if neighbour == answer.element == "Zn":
        notes.append("of the 6 + 6 neighbours of zinc metal, at 2.66 and 2.91 Å, one path finds little but the nearer")
    elif s02 is not None and answer.in_domain and max(low - number.value, number.value - high) > 2 * error:
        interval = f"the 90 % interval of predict_cn, {low:.1f} to {high:.1f}"
        notes.append(f"the fit has N = {number.value:.1f} ± {error:.1f}, outside {interval}")
    return notes


def fit_nearest(data: Group, answer: Prediction, neighbour: str, s02: float | None, peaks: np.ndarray) -> Group:
    """Of the fits of each peak that of the nearest that may be the first shell, with the distance found."""
    paths = feff_shell(answer, neighbour, peaks[0] + PHASE_SHIFT)
    fits = [feffit(*start(data, answer, paths, s02, peak + PHASE_SHIFT - paths[0].reff)) for peak in peaks]
    for name in ("deltar", "e0"):  # one that left its peak is that of another, one with a wild e0 is of no such shell
        fits = [fit for fit in fits if name not in stopped(fit)] or fits
    good = CLEARLY * min(float(fit.rfactor) for fit in fits)
    best = next(fit for fit in fits if float(fit.rfactor) <= good)
    best.distance = paths[0].reff + best.params["deltar"].value
    return best


def common_neighbour(answer: Prediction) -> tuple[str, float]:
    """The element that most neighbours in the nearest known sites are of, and how many are of its row."""
    # votes, by row of the periodic table: EXAFS tells these apart, hardly the elements of one
    rows: dict[int, Any] = defaultdict(Counter)
    found = [re.findall(r"([A-Z][a-z]?)(\d+)", site["shell"]) for site in answer.neighbours]
    shells = [{symbol: int(n) for symbol, n in atoms if symbol != "H"} for atoms in found]
    possible = set[str]().union(*shells)
    if answer.composition:
        kind = "formula" if answer.request.elements is None else "elements"
        told = composition.read(kind, answer.composition, "it", answer.element).amounts
        possible = possible & set(told) or possible
    for shell in shells:
        for symbol in shell:
            if symbol in possible:
                rows[np.searchsorted(NOBLE, atomic_number(symbol))][symbol] += shell[symbol] / sum(shell.values())
    if not rows:
        raise OptionError("neighbour", None, "the element of the neighbours, such as 'O': no known site tells it")
    row = max(rows.values(), key=Counter.total)
    return row.most_common(1)[0][0], row.total() / len(list(filter(None, shells)))


def same_row(*symbols: str) -> bool:
    """Whether elements are of one row of the periodic table."""
    return len({np.searchsorted(NOBLE, atomic_number(symbol)) for symbol in symbols}) == 1


def stopped(fit: Group) -> list[str]:
    """What was stopped at its bound: its value is that of the bound, and tells nothing of the sample."""
    free = [(name, one) for name, one in fit.params.items() if one.vary]
    return [n for n, one in free if min(one.value - one.min, one.max - one.value) < 0.01 * (one.max - one.min)]


def start(
    data: Group, answer: Prediction, paths: list[Group], s02: float | None, deltar: float = 0.0
) -> tuple[Group, Group]:
    """Parameters and dataset of a fit of one shell, or of both halves of it."""
    bound = answer.in_domain and s02 is None  # with a known s02, the spectrum itself tells N
    low, high = np.multiply(answer.interval, (1 - S02_ERROR, 1 + S02_ERROR)) if bound else (FEWEST, MOST)
    far = {"sigma2_far": param(0.008, min=0, max=0.05, vary=True)} if len(paths) > 1 else {}
    params = param_group(
        s02=param(S02 if s02 is None else s02, vary=False),
        N=param(answer.cn_mean, min=max(low, FEWEST), max=high, vary=True),
        e0=param(0.0, min=-20, max=20, vary=True),
        deltar=param(deltar, min=deltar - 0.25, max=deltar + 0.25, vary=True),
        sigma2=param(0.006, min=0, max=0.05, vary=True),
        **far,
    )
    read = {name: answer.xftf[name] for name in ("kmin", "dk", "window")}
    read["kmax"] = min(answer.xftf["kmax"], data.k[-1])
    rmin = max(1.0, paths[0].reff + deltar - 0.9)  # below 1 Å, autobk has taken everything
    enough = rmin + (4 + len(far)) * np.pi / 2 / (read["kmax"] - read["kmin"])  # for all variables
    rmax = max(paths[-1].reff + deltar + 0.1, enough)
    transform = feffit_transform(**read, kweight=[2, 1, 3], rmin=rmin, rmax=rmax)
    return params, feffit_dataset(data=data, paths=paths, transform=transform)


def feff_shell(answer: Prediction, neighbour: str, distance: float, folder: str | Path | None = None) -> list[Group]:
    """Paths to the nearest neighbours in rock salt or in a metal, where FEFF's files stay in a folder if it is given.

    That is one, and of a body-centred metal, where the next six neighbours lie under the same peak, two.
    """
    absorber, split, side = answer.element, False, 1.0
    grid = np.indices((7, 7, 7)).reshape(3, -1).T - 3
    odd = grid.sum(1) % 2 == 1
    symbols, near = np.where(odd, neighbour, absorber), (grid**2).sum(1) < 9
    if composition.is_transition_metal(neighbour):
        split = answer.cn == 8 and answer.kind == ONE_SITE  # of 656 such known sites 516 are of 8 + 6
        near &= (grid % 2 == grid[:, :1] % 2).all(1) if split else ~odd
        symbols = np.where(grid.any(1), neighbour, absorber)
        side = (3 if split else 2) ** -0.5
    name = f"{absorber}_{neighbour}_{distance:.2f}"
    points, end = distance * side * grid[near], (1.2 if split else 1.1) * distance
    paths = feff_paths(name, symbols[near].tolist(), points, end, folder)
    for path in paths:
        path.degen, path.s02, path.e0, path.deltar, path.sigma2 = 1, "N * s02", "e0", "deltar", "sigma2"
    for path in paths[1:]:  # as many more as there are, and as much farther
        path.s02, path.deltar, path.sigma2 = "6 / 8 * N * s02", "deltar * 2 / 3**0.5", "sigma2_far"
    return paths
