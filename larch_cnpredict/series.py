"""One figure of a series of spectra."""

from collections import defaultdict
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .along import Series, cn_series
from .components import FEWEST, Components, components_of
from .errors import CNPredictError, boundary
from .plot import BLUE, GREY, GRID, check_figure, emptied, opened, short
from .result import KINDS
from .spectrum import plain_name

found_before: ContextVar[Any] = ContextVar("found_before", default=None)  # by Larix, in a thread of its own
STYLES = dict(zip(KINDS, (("o", BLUE), ("s", "#ff7f0e"), ("^", "#9467bd")), strict=True))  # marker and colour


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
    return opened(figure, _larch)


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
        made = components_of(series)
    except CNPredictError as error:
        return series, str(error)
    remark = f"Components are not determined: {made.doubt}" if made.doubt else made.taken
    return replace(series, components=made), f"{remark} {made.shortened}".strip()
