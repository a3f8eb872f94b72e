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
from .result import Prediction
from .spectrum import read_spectrum

PHASE_SHIFT = 0.4  # Å: a peak of |chi(R)| lies about so far below its distance
SHORTEST = 1.5  # Å: no bond of a 3d metal is shorter, and what peaks below is left of the background
# What peaks before the first shell is left of the background, and fits many times worse; a far shell may fit a little
# better than the first: of 23 measured compounds the first fits worst in MnO, by 2.6.
CLEARLY = 4.0
MOST = 24.0  # neighbours, where the answer sets no bounds
S02 = 0.85
S02_ERROR = 0.3  # relative: fits of known structures find s02 from 0.53 to 1.2, and N takes up what it is off by
S02_ERROR_GIVEN = 0.1  # the same of what was measured on a foil


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
        share: how many neighbours in the nearest known sites are of its row of the periodic table; None if you named it

    Notes
    -----
    N starts at cn_mean and is held to its 90 % interval, 30 % wider at both ends since s02 is not better known than
    that (10 % where it is given), or to 0 to 24 where the answer is outside what the models know. The path's amplitude
    is N * s02. Each high peak of |chi(R)| below 3.3 Å is tried as the first shell; the nearest that fits is taken.
    Where the composition was told, the neighbour is one of its elements, if the nearest known sites have any. FEFF gets
    rock salt of absorber and neighbour, whatever the number; of a transition metal it gets the face-centred cubic one,
    with the absorber in it. Phases of other crystals differ as if the distance were 0.01 Å off, amplitudes by 5 % (of
    metals in rock salt they are 4 to 9 % too high). Nothing but cn_predict is written to the group.
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
        path = feff_path(answer.element, neighbour, peaks[0] + PHASE_SHIFT)
        starts = [start(group, answer, path, s02, peak + PHASE_SHIFT - path.reff) for peak in peaks]
        fits = [feffit(*one) for one in starts]
        fits = [fit for fit in fits if not slid_away(fit)] or fits
        good = CLEARLY * min(float(fit.rfactor) for fit in fits)
        best = next(fit for fit in fits if float(fit.rfactor) <= good)  # the nearest of them
        path = feff_path(answer.element, neighbour, path.reff + best.params["deltar"].value, folder)
        params, dataset = start(group, answer, path, s02)
        told = {"neighbour": neighbour, "share": share, "distance": path.reff, "rfactor": float(best.rfactor)}
        return Group(params=params, path=path, dataset=dataset, **told)


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


def slid_away(fit: Group) -> bool:
    """Whether a fit left its peak and was stopped on the way: then it is that of another one."""
    deltar = fit.params["deltar"]
    return bool(min(deltar.value - deltar.min, deltar.max - deltar.value) < 0.01)


def start(group: Group, answer: Prediction, path: Group, s02: float | None, deltar: float = 0.0) -> tuple[Group, Group]:
    """Parameters and dataset of a fit of one path."""
    error = S02_ERROR if s02 is None else S02_ERROR_GIVEN
    low, high = np.multiply(answer.interval, (1 - error, 1 + error)) if answer.in_domain else (0.0, MOST)
    params = param_group(
        s02=param(S02 if s02 is None else s02, vary=False),
        N=param(answer.cn_mean, min=max(low, 0.0), max=high, vary=True),
        e0=param(0.0, min=-20, max=20, vary=True),
        deltar=param(deltar, min=deltar - 0.25, max=deltar + 0.25, vary=True),
        sigma2=param(0.006, min=0, max=0.05, vary=True),
    )
    read = {name: answer.xftf[name] for name in ("kmin", "dk", "window")}
    read["kmax"] = min(answer.xftf["kmax"], group.k[-1])
    rmin = max(1.0, path.reff + deltar - 0.9)  # below 1 Å, autobk has taken everything
    rmax = max(path.reff + deltar + 0.1, rmin + 4 * np.pi / 2 / (read["kmax"] - read["kmin"]))  # for four variables
    transform = feffit_transform(**read, kweight=[2, 1, 3], rmin=rmin, rmax=rmax)
    return params, feffit_dataset(data=group, paths=[path], transform=transform)


def feff_path(absorber: str, neighbour: str, distance: float, folder: str | Path | None = None) -> Group:
    """The path to the nearest neighbour in rock salt, or in a metal; FEFF's files stay where a folder is given."""
    grid = np.indices((7, 7, 7)).reshape(3, -1).T - 3
    grid = grid[(grid**2).sum(1) < 9]
    odd = grid.sum(1) % 2 == 1
    symbols = np.where(odd, neighbour, absorber)
    if composition.is_transition_metal(neighbour):
        grid = grid[~odd] / 2**0.5
        symbols = np.where(grid.any(1), neighbour, absorber)
    name = f"{absorber}_{neighbour}_{distance:.2f}"
    path, *_ = feff_paths(name, symbols.tolist(), distance * grid, 1.1 * distance, folder)
    path.degen, path.s02, path.e0, path.deltar, path.sigma2 = 1, "N * s02", "e0", "deltar", "sigma2"
    return path
