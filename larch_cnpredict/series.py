"""Coordination numbers along a series of spectra, and one figure of them."""

from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .components import Components, cn_components
from .errors import CNPredictError, SeriesError, boundary
from .plot import BLUE, GREY, GRID, check_figure, emptied, short
from .predict import current_answers, resolve
from .result import KINDS, Prediction
from .scans import positions
from .spectrum import plain_name, spectrum_name

FEWEST = 10  # spectra that components are looked for in
found_before: ContextVar[Any] = ContextVar("found_before", default=None)  # by Larix, in a thread of its own
STYLES = dict(zip(KINDS, (("o", BLUE), ("s", "#ff7f0e"), ("^", "#9467bd")), strict=True))  # marker and colour


@dataclass(frozen=True, repr=False)
class Series:
    """The answers along a series: one entry for each group that has one, in the order that was given."""

    groups: list[Any]
    x: np.ndarray
    label: str  #: what x is, such as 'temperature (K)'
    answers: list[Prediction]
    left_out: list[str]  #: a sentence for each group that is not in it
    points: list[tuple[Any, list[int]]] = field(default_factory=list)  # what is drawn, and of which groups
    components: Components | None = None  #: where `plot_cn_series` has looked for them

    def picked(self, event: Any) -> Any:
        """The group of the point that was clicked, from matplotlib's pick_event; None where it is none."""
        return next((self.groups[rows[event.ind[0]]] for artist, rows in self.points if artist is event.artist), None)

    def rows(self) -> list[dict[str, Any]]:
        """The series as a table: plain cells, those of `Prediction.row` with the group's name and x before them."""
        lines = zip(self.groups, self.x, self.answers, strict=True)
        label = f"x: {self.label}" if self.label in {"group", *self.answers[0].row()} else self.label
        return [{"group": plain_name(group), label: float(x), **made.row()} for group, x, made in lines]


def plot_cn_series(
    groups: Any, x: Any = None, figure: Figure | None = None, title: str | None = None, components: bool = True,
    _larch: Any = None,
) -> Figure:  # fmt: skip
    """Plot the mean coordination number of each spectrum of a series, with its 90 % interval.

    Points are coloured by the kind of sample, and open where the spectrum is outside what the models know. A click on
    one finds its group: `figure.cn_series.picked(event)` with matplotlib's pick_event.

    Parameters
    ----------
    groups : list of Groups, or of their names
        those that were not predicted, or have changed since, are predicted first, in one batch
    x : str or array, optional
        what they are drawn against: the name of something that is known of each scan, such as 'temperature', 'time' or
        'sample.potential' (an attribute of the group, or in the header of its file, its journal or Larix'
        configuration), or a number for each group. By default the scan number in their names, or their order
    figure, title : optional
        as for plot_cn
    components : bool
        whether to look for the components of ten or more spectra with mu(E), and to draw their shares, of the most
        different scans taken as pure, where nothing speaks against these; see `cn_components`

    Returns
    -------
    Figure : groups that fail are left out, and it says so. `figure.cn_series` is a Series: groups, x, label, answers,
        left_out, components; `rows()` for a table
    """
    check_figure(figure)
    series, remark = found_before.get() or found(groups, x, components, _larch)
    with boundary("the series"):
        figure = emptied(figure, (8, 4.5))
        absorbers = ", ".join(sorted({f"{made.element} {made.edge}" for made in series.answers}))
        figure.suptitle(str(title) if title else f"{absorbers}: mean coordination number, 90 % interval", wrap=True)
        remarks = series.left_out[:2]
        if len(series.left_out) > 2:
            remarks.append(f"{len(series.left_out) - 2} more are left out.")
        remarks += [remark] if remark else []
        made = series.components
        if made and made.determined:
            top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
            draw_shares(bottom, series, made)
        else:
            top = bottom = figure.subplots()
        draw_series(top, series)
        bottom.set_xlabel(series.label)
        if remarks:
            figure.supxlabel("\n".join(remarks), fontsize="x-small", wrap=True)
        figure.cn_series = series  # type: ignore[attr-defined]
    return figure


def draw_series(axes: Axes, series: Series) -> None:
    """The means and their intervals over x, a colour for each kind, open where a spectrum is outside."""
    mean, low, high = np.array([(made.cn_mean, *made.interval) for made in series.answers]).T
    order = np.argsort(series.x, kind="stable")
    axes.plot(series.x[order], mean[order], color=GREY, linewidth=1, zorder=1)
    axes.vlines(series.x, low, high, color=GREY, linewidth=2 if len(mean) < 60 else 1, zorder=1)
    kinds: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for i, made in enumerate(series.answers):
        kinds[made.kind, made.in_domain].append(i)
    shown: dict[str, Any] = {}
    for (kind, in_domain), rows in sorted(kinds.items(), reverse=True):  # the filled ones of a kind come first
        marker, colour = STYLES.get(kind, STYLES[KINDS[0]])
        artist = axes.scatter(series.x[rows], mean[rows], marker=marker, edgecolors=colour, picker=True, pickradius=5)
        artist.set_facecolor(colour if in_domain else axes.get_facecolor())
        shown.setdefault(kind.split(" or ")[0], artist)
        series.points.append((artist, rows))
    if not all(made.in_domain for made in series.answers):
        empty = axes.scatter([], [], marker="o", edgecolors=GREY, facecolors="none")
        shown["open: outside what the models know"] = empty
    axes.locator_params("x", integer=bool((series.x == series.x.round()).all()))
    axes.set_ylabel("mean CN")
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    look: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False, "fontsize": "small"}
    axes.legend([*shown.values()], [*shown], ncols=4, columnspacing=1.2, handletextpad=0.2, **look)


def draw_shares(axes: Axes, series: Series, made: Components) -> None:
    order = np.argsort(series.x, kind="stable")
    looks = "-o", "--s", "-.^", ":d"
    for group, answer, share, style in zip(made.groups, made.answers, made.shares.T, looks, strict=False):
        label = f"{short(plain_name(group), 40)}: {answer.said_short}"
        axes.plot(series.x[order], 100 * share[order], style, markersize=4, label=label)
    axes.set(ylim=(-5, 105), ylabel="share (%)")
    axes.grid(color=GRID)
    axes.legend(fontsize="small")


def found(groups: Any, x: Any = None, components: bool = True, _larch: Any = None) -> tuple[Series, str]:
    """The series with its components where they can be found, and what is to be said of these in a sentence."""
    series = cn_series(groups, x, _larch)
    if not components or len(series.groups) < FEWEST:
        return series, ""
    try:
        made = cn_components(series.groups)
    except CNPredictError as error:
        return series, str(error)
    remark = f"Components are not determined: {made.doubt}" if made.doubt else made.taken
    return replace(series, components=made), remark


def cn_series(groups: Any, x: Any = None, _larch: Any = None) -> Series:
    """The answers of a series without the figure; see `plot_cn_series`."""
    with boundary("the series"):
        if not isinstance(groups, list | tuple) or not groups:
            raise SeriesError("is no list of groups", "name them as in plot_cn_series([first, second])")
        members = [resolve(one, _larch) for one in groups]
        places, label = positions(members, x)
        answers = current_answers(members, errors="collect")
        kept, left_out = [], []
        for group, place, made in zip(members, places, answers, strict=True):
            if isinstance(made, CNPredictError):
                left_out.append(str(made))
            elif place is None:
                left_out.append(f"{spectrum_name(group)} has no {x}.")
            else:
                kept.append((group, place, made))
        if not kept:
            failures = (made for made in answers if isinstance(made, CNPredictError))
            raise next(failures, SeriesError("has no point to draw", " ".join(left_out)))
        drawn, at, good = zip(*kept, strict=True)
        return Series(list(drawn), np.array(at, dtype=float), label, list(good), left_out)
