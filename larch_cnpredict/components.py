"""The few spectra whose mixtures make a whole series, each with its own answer: MCR-ALS on normalised mu(E).

What mixes linearly is mu(E), not |chi(R)|. All spectra that enclose the series will do; the closest are taken: they are
the true ones where the series reaches each component pure: mu(E) alone hardly tells (what MCR calls its rotational
ambiguity), and the components' own answers can only speak against it.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from larch import Group
from larch.xafs import pre_edge
from scipy.linalg import qr

from .absorber import as_number
from .along import Series, cn_series
from .errors import MissingArrayError, SeriesError, boundary, ended
from .files import process
from .predict import predict_cn
from .quality import point_noise
from .result import ONE_SITE, Prediction
from .spectrum import plain_name, spectrum_name

FEWEST = 10  # spectra that components are looked for in
MOST = 4  # components
SMALLEST = 1e-3  # of the edge step: what beamlines and normalisation do differently from scan to scan
LONE = 0.15  # second highest share of a component over the highest: below it one spectrum alone has it
SHORTER = 50.0  # eV before the end of the longest
PURE, TOLERANCE = 0.95, 0.02  # share that is nearly pure; how far mu(E) of the edge step may be below zero


@dataclass(frozen=True, repr=False)
class Components:
    """The components of a series."""

    groups: list[Group]  #: each with normalised mu, all as far as cn_predict; none where their number is not clear
    spectra: list[Any]  #: the n groups of the series that have an answer
    shares: np.ndarray  #: (n, number): of each component in each of these
    answers: list[Prediction]
    doubt: str  #: a sentence on why the components are not determined; empty where they are
    held: Sequence[float] = ()  #: the largest share of another in each that mu(E) allows: the ambiguity of all MCR
    shortened: str = ""  #: a sentence on the spectrum that ends before the others, as far as which all are read

    @property
    def determined(self) -> bool:
        """Whether nothing speaks against these, the most different scans taken as pure, being the true ones."""
        return not self.doubt

    @property
    def taken(self) -> str:
        """What the shares rest on, in a sentence; empty where there are none."""
        most = ", ".join(f"{100 * held:.0f} % of another in component {i}" for i, held in enumerate(self.held, 1))
        said = "Shares are of the most different scans, taken as pure; mu(E) alone would allow up to"
        return f"{said} {most}." if most else ""

    def __str__(self) -> str:
        lines = [f"components: {len(self.groups) or 'number not known'}"]
        for group, answer, share in zip(self.groups, self.answers, self.shares.T, strict=True):
            most = f"{100 * share.min():.0f} to {100 * share.max():.0f} %, most in {self.names[share.argmax()]}"
            lines.append(f"{group.filename} ({most}): {answer}")
        remarks = self.taken, self.shortened, self.doubt and f"not determined: {self.doubt}"
        return "\n".join([*lines, *filter(None, remarks)])

    @property
    def names(self) -> list[str]:
        """What the spectra are called."""
        return [plain_name(group) for group in self.spectra]

    __repr__ = __str__


def cn_components(groups: Any, number: int | None = None, _larch: Any = None) -> Components:
    """Find the few spectra whose mixtures make a whole series, and predict the coordination number of each.

    Parameters
    ----------
    groups : list of Groups, or of their names
        ten or more spectra of one absorber, with energy and mu
    number : int, optional
        of components; by default as many as it takes to come down to the noise

    Returns
    -------
    Components : print it for a summary in words. `groups`, one for each component, with energy, normalised mu, what
        pre_edge, autobk and xftf make of it, and cn_predict; `shares`, (n, number) array, of each in each of `spectra`,
        those of the groups that have an answer; `answers`, by the model and with the s02 that the first of these was
        asked for with; `determined`, which takes the most different scans as pure, and `doubt`, a sentence on why they
        are not; `held`, the largest share of another in each that mu(E) allows, and `taken`, a sentence of it;
        `shortened`, one on a spectrum that ends before the others: all are read as far as it goes

    Notes
    -----
    Needs pymcr: `pip install 'larch-cnpredict[series]'`. Writes what predict_cn writes to groups that have no answer.

    Multivariate curve resolution by alternating least squares (de Juan, Tauler, Crit. Rev. Anal. Chem. 36 (2006) 163)
    of mu(E) on one energy grid, normalised and flattened with one e0.
    """
    return components_of(cn_series(groups, _larch=_larch), number)


def components_of(series: Series, number: int | None = None) -> Components:
    """The same of answers that are there."""
    with boundary("the series"):
        if len(series.groups) < FEWEST:
            raise SeriesError(f"has {len(series.groups)} spectra", f"components need {FEWEST} or more")
        elements = sorted({made.element for made in series.answers})
        if len(elements) > 1:
            raise SeriesError(f"is of {' K and '.join(elements)} K", "components are of one absorber")
        if number is not None and as_number(number) not in range(2, len(series.groups)):
            raise SeriesError(f"cannot have number={number!r} components", "give two or more, fewer than the spectra")
        (energy, mu), names = _normalised(series.groups), [plain_name(group) for group in series.groups]
        u, singular, v = np.linalg.svd(mu, full_matrices=False)
        count, doubt = _how_many(mu, singular, number and int(number))
        shortened = _shortened(series.groups, names)
        if not count:
            return Components([], series.groups, np.empty((len(mu), 0)), [], doubt, (), shortened)
        shares, scores = _resolve(u[:, :count] * singular[:count])
        spectra = scores @ v[:count]
        made = [Group(energy=energy.copy(), mu=row, filename=f"component {i}") for i, row in enumerate(spectra, 1)]
        # what is known of a sample is not known of each component
        asked = asdict(series.answers[0].request) | {"element": elements[0], "formula": None, "elements": None}
        answers = predict_cn([process(group) for group in made], **asked | {"one_site": False})
        held = np.array([[_could_hold(one, other) for other in spectra] for one in spectra])
        np.fill_diagonal(held, 0)
        doubt = _lone(shares, names) or doubt or _doubt(shares, held, answers)
        return Components(made, series.groups, shares, answers, doubt, held.max(1).tolist(), shortened)


def _normalised(groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray]:
    """mu(E) of all on the energies that all have, normalised and flattened alike, so that mixtures stay mixtures."""
    for group in groups:
        if getattr(group, "energy", None) is None or getattr(group, "mu", None) is None:
            raise MissingArrayError(spectrum_name(group), "energy and mu", "components are found in mu(E)")
    low, high = max(np.min(group.energy) for group in groups), min(np.max(group.energy) for group in groups)
    energy = np.asarray(groups[0].energy, dtype=float)
    energy = energy[(energy >= low) & (energy <= high)]
    if len(energy) < 100:
        raise SeriesError("has spectra of different energies", "components need one range that all of them cover")
    mu = np.array([np.interp(energy, group.energy, group.mu) for group in groups])
    middle = Group(energy=energy, mu=mu.mean(0))
    pre_edge(middle)
    scaled = [Group(energy=energy, mu=row) for row in mu]
    for group in scaled:  # e0 of each would move the lines that are subtracted, and look like more components
        pre_edge(group, e0=middle.e0)
    return energy, np.array([group.flat for group in scaled])


def _how_many(mu: np.ndarray, singular: np.ndarray, number: int | None) -> tuple[int, str]:
    """How many components there are (0 where that is not known), and a doubt."""
    left = np.arange(len(singular) - 1, 0, -1)
    residuals = np.sqrt(np.cumsum(singular[:0:-1] ** 2)[::-1] / (max(mu.shape) * left))  # Malinowski's real error
    noise = max(point_noise(mu), SMALLEST / 1.5)
    count = number or next((i for i, residual in enumerate(residuals[:MOST], 1) if residual <= 1.5 * noise), 0)
    if not count:
        left_over = residuals[MOST - 1] / noise
        return 0, f"More than {MOST} components, or a drift: {MOST} leave {left_over:.1f} times the noise."
    if count == 1:
        return 0, "The spectra hardly change by more than their noise."
    if residuals[count - 1] > 1.5 * noise:
        return count, f"There are more than {count}: these leave {residuals[count - 1] / noise:.1f} times the noise."
    hardly = residuals[count - 2] < 3 * noise
    return (
        count,
        f"The last of {count} components is hardly above the noise, or a drift of the energy." if hardly else "",
    )


def _resolve(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares, and the components' own scores, from principal components: MCR-ALS from the spectra least alike."""
    try:
        from pymcr.constraints import ConstraintNorm
        from pymcr.mcr import McrAR
    except ImportError:
        raise SeriesError("cannot be taken apart without pymcr", "pip install 'larch-cnpredict[series]'") from None
    first = ((scores - scores.mean(0)) ** 2).sum(1).argmax()
    # the pivots of QR: always the farthest from the point, line, plane, ... through those before
    _, others = qr((scores - scores[first]).T, mode="r", pivoting=True)
    chosen = [first, *others[: scores.shape[1] - 1]]
    als = McrAR(c_regr="NNLS", c_constraints=[ConstraintNorm()], st_constraints=[], max_iter=500, tol_increase=None)
    log = logging.getLogger("pymcr.mcr")
    before, log.disabled = log.disabled, True  # it tells every user of Larch why it stopped
    try:
        als.fit(scores, ST=scores[chosen])
    finally:
        log.disabled = before
    order = np.argsort(np.arange(len(scores)) @ als.C_opt_ / als.C_opt_.sum(0))  # as they come along the series
    return als.C_opt_[:, order], als.ST_opt_[order]


def _lone(shares: np.ndarray, names: Sequence[str]) -> str:
    """Why a component that one spectrum alone has is none of a series."""
    for i, share in enumerate(shares.T):
        second, first = np.sort(share)[-2:]
        if second < LONE * first:
            alone = f"Component {i + 1} rests on {names[int(share.argmax())]} alone"
            return f"{alone}: look at it, and measure another like it or leave it out."
    return ""


def _shortened(groups: Sequence[Group], names: Sequence[str]) -> str:
    """Which spectrum ends before the others, where one does."""
    ends = np.array([np.max(group.energy) for group in groups])
    short = int((ends.max() - ends > SHORTER).sum())
    if not short:
        return ""
    others = f" and {short - 1} more before the last, end" if short > 1 else " ends"
    first = names[int(ends.argmin())]
    return f"All are read to {ends.min():.0f} eV, where {first}{others}: without it they could go further."


def _doubt(shares: np.ndarray, could_hold: np.ndarray, answers: Sequence[Prediction]) -> str:
    """Why these components need not be the true ones; empty where nothing speaks against them."""
    highest = shares.max(0)
    if highest.min() < PURE:
        share = f"its share is {highest.min():.2f} at most"
        return f"No spectrum is nearly pure component {highest.argmin() + 1}: {share}. Add one."
    for i, answer in enumerate(answers):
        if not answer.in_domain:
            return ended(f"Component {i + 1} is outside what the models know: {answer.reason}.")
        low, high = answer.interval
        for j in np.flatnonzero(could_hold[i] > 1 - PURE).tolist():
            if answer.kind != ONE_SITE:
                why = "it is not read as one site"
            elif answers[j].headline == answer.headline or low <= answers[j].cn_mean <= high:
                why = f"it may have the number of component {j + 1}"  # and their mixture is read as one site, too
            else:
                continue
            held = f"could hold up to {100 * could_hold[i, j]:.0f} % of component {j + 1}"
            return f"Component {i + 1} may itself be mixed: {why}, and {held}."
    return ""


def _could_hold(spectrum: np.ndarray, other: np.ndarray) -> float:
    """The largest share of another component in this one whose removal leaves mu(E) positive, but for noise."""
    less = (spectrum < other - SMALLEST) & (other > TOLERANCE)  # before the edge, the line taken away decides
    room = np.maximum(spectrum[less] + TOLERANCE, 0) / (other - spectrum)[less]
    extra = float(room.min(initial=np.inf))
    return extra / (1 + extra) if np.isfinite(extra) else 1.0
