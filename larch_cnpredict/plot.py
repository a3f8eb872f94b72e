"""Figures of one answer and of two: |chi(R)| with the parts that carried it, and how probable each number is."""

from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from . import features
from .errors import OptionError, boundary
from .explanation import SOME, explained
from .result import HARDLY, NO_NUMBER, ONE_SITE, Prediction
from .spectrum import Spectrum

BLUE, RED = "#1f77b4", "#d62728"  # the first two line colours of Larch's own plots
DARK, GREY, GRID = "#555555", (0.5, 0.5, 0.5, 0.45), "#e5e5e5"
NOTABLE = 0.5  # where ln p falls by less than this, the shade stays paler, whatever the largest is
DEEPEST = 0.55  # opacity of the darkest shade, through which lines are seen
R_SHOWN = 6.0  # Å


def plot_cn(group: Any, figure: Figure | None = None, title: str | None = None, _larch: Any = None) -> Figure:
    """Plot |chi(R)| of a group as the models read it, what of it carried the answer, and how probable each number is.

    Dotted is the simulated |chi(R)| of the known site that looks most like it. Shaded are the parts of R without which
    the answer would be less probable, the darkest where ln p falls most. Of the bars, those of the 90 % prediction set
    are coloured; where the sample has more than one kind of site, the mean of all of them and its 90 % interval are
    above the bars.

    Parameters
    ----------
    group : Group, or its name
        `explain` is run first where it was not, or where the group has changed since; nothing else is written to it
    figure : matplotlib Figure, optional
        is cleared and drawn into; by default a new one of matplotlib.pyplot
    title : str, optional
        by default the group's name and the answer

    Returns
    -------
    Figure : for a report, `plot_cn(group).savefig('cn.pdf')`
    """
    check_figure(figure)
    with boundary("what was given"):
        name, answer, spectrum, made = explained(group, _larch)
        figure = emptied(figure, (8, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        figure.suptitle(str(title) if title else f"{name}\n{answer}", fontsize="medium", wrap=True)
        draw_chir(left, spectrum, label="this spectrum")
        draw_nearest(left, spectrum, answer, made.nearest)
        left.legend(fontsize="small")
        words = shade(left, spectrum, answer, made.importance_r, made.importance)
        left.set_title(words, fontsize="small", color=RED)
        draw_probabilities(right, answer)
    return opened(figure, _larch)


def plot_cn_compare(a: Any, b: Any, figure: Figure | None = None, _larch: Any = None) -> Figure:
    """Plot two groups over each other: |chi(R)|, what of it carried each answer, and how probable each number is.

    The share of an answer's probability that is lost without a part of R is 1 - exp(-importance).

    Parameters
    ----------
    a, b : Group, or its name; figure : matplotlib Figure, optional
        as for plot_cn; the first is blue, the second red

    Returns
    -------
    Figure
    """
    check_figure(figure)
    with boundary("what was given"):
        both = [explained(group, _larch) for group in (a, b)]
        figure = emptied(figure, (9, 4.5))
        axes = figure.subplot_mosaic([["chir", "cn"], ["lost", "cn"]], width_ratios=(3, 2), height_ratios=(2, 1))
        for (name, answer, spectrum, made), colour, side in zip(both, (BLUE, RED), (-0.2, 0.2), strict=True):
            draw_chir(axes["chir"], spectrum, colour, f"{short(name)}: {answer.said_short}")
            lost = 100 * (1 - np.exp(-np.clip(made.importance, 0, None)))
            axes["lost"].plot(made.importance_r, lost, color=colour, linewidth=2)
            draw_probabilities(axes["cn"], answer, colour, side)
        axes["chir"].set(ylim=(0, 1.08 * max(one[2].chir_mag[one[2].r <= R_SHOWN].max() for one in both)), xlabel="")
        axes["chir"].legend(fontsize="small")
        axes["lost"].set(xlim=(0, R_SHOWN), ylim=(0, None), xlabel=r"$R \rm\,(\AA)$", ylabel="% of p")
        axes["lost"].set_title("how much less probable each answer is without this part of R", fontsize="small")
        axes["lost"].grid(color=GRID)
        axes["cn"].set_title("coloured: 90 % prediction sets", fontsize="small")
    return opened(figure, _larch)


def short(name: str, most: int = 30) -> str:
    """A name that a legend or a title has room for."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 + 1 :]}"


def chir_label(kweight: float) -> str:
    """k^w chi(k) dk is in Å^-(w+1)."""
    return rf"$|\chi(R)| \rm\,(\AA^{{-{kweight + 1:g}}})$"


def check_figure(figure: Any) -> None:
    """Refuse what cannot be drawn into."""
    if not isinstance(figure, Figure | None):
        raise OptionError("figure", figure, "None or a matplotlib Figure")


def emptied(figure: Figure | None, size: tuple[float, float]) -> Figure:
    """The figure that was given, with nothing in it, or a new one."""
    if figure is None:
        from matplotlib import pyplot

        try:
            figure = pyplot.figure(figsize=size)
        except ImportError:  # Larch asks for windows, and there is no screen: what cannot be shown can be saved
            figure = Figure(figsize=size)
    figure.clear()
    figure.set_layout_engine("constrained")
    return figure


def opened(figure: Figure, _larch: Any) -> Figure:
    """The figure, in Larch with its window open, as those of Larch's own plots are: it tells matplotlib not to."""
    if _larch is not None and figure.canvas.manager is not None:
        with suppress(Exception):  # there is no window
            figure.canvas.manager.show()
    return figure


def draw_chir(axes: Axes, spectrum: Spectrum, colour: str = BLUE, label: str | None = None) -> None:
    """|chi(R)| as the models read it."""
    shown = spectrum.r <= R_SHOWN
    axes.plot(spectrum.r[shown], spectrum.chir_mag[shown], color=colour, linewidth=2, label=label)
    top, ylabel = 1.08 * spectrum.chir_mag[shown].max() or 1.0, chir_label(spectrum.xftf["kweight"])
    axes.set(xlim=(0, R_SHOWN), ylim=(0, top), xlabel=r"$R \rm\,(\AA)$", ylabel=ylabel)
    axes.grid(color=GRID)


def draw_nearest(axes: Axes, spectrum: Spectrum, answer: Prediction, magnitude: np.ndarray, colour: str = DARK) -> str:
    """The simulated |chi(R)| of the known site most like it, where the k weight is the same; returns what it is."""
    if spectrum.xftf["kweight"] != features.TRANSFORM["kweight"]:
        return ""
    label = f"nearest known site: {answer.neighbours[0]['formula']}, CN {answer.neighbours[0]['cn']}"
    axes.plot(features.R_POOLED, magnitude, ":", color=colour, linewidth=1.5, label=label, zorder=4)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.08 * magnitude.max()))
    return label


def shade(axes: Axes, spectrum: Spectrum, answer: Prediction, importance_r: np.ndarray, importance: np.ndarray) -> str:
    """Red under |chi(R)| where the answer is less probable without that part of R; returns what is to be said of it."""
    if answer.kind != ONE_SITE and answer.p < HARDLY:
        return NO_NUMBER
    shades, half = np.clip(importance, 0, None), np.diff(importance_r)[0] / 2
    darkest = max(shades.max(), NOTABLE)
    reds = LinearSegmentedColormap.from_list("importance", [to_rgba(RED, 0), to_rgba(RED, DEEPEST)])
    extent = (importance_r[0] - half, importance_r[-1] + half, 0, spectrum.chir_mag.max())
    look = {"cmap": reds, "vmin": 0, "vmax": darkest, "interpolation": "bilinear"}
    image = axes.imshow(shades[None], extent=extent, aspect="auto", **look)
    area = axes.fill_between(spectrum.r, spectrum.chir_mag, color="none")
    image.set_clip_path(area.get_paths()[0], transform=axes.transData)
    what = "the answer" if answer.kind == ONE_SITE else f"CN {answer.cn}, as one number,"
    if shades.max() <= SOME:
        return f"no single part of R carries {what}"
    lost = 100 * (1 - np.exp(-shades.max()))
    return f"red: what {what} rests on; darkest: without it p falls by {lost:.0f} %"


def draw_probabilities(axes: Axes, answer: Prediction, colour: str = BLUE, side: float = 0.0) -> None:
    """A bar for each number, to one `side` of another answer's; the mean where the sample has no single number."""
    coloured = answer.cn_set if answer.kind == ONE_SITE else []  # the set is that of one site
    colours = [colour if cn in coloured else GREY for cn in answer.classes]
    axes.bar(np.add(answer.classes, side), answer.probabilities, width=0.4 if side else 0.8, color=colours)
    title = "coloured: 90 % set"
    if answer.kind != ONE_SITE:
        low, high = answer.interval
        axes.plot([low, answer.cn_mean, high], [0.9] * 3, "o-", markevery=[1], color=colour)
        title = "point: mean, 90 % interval"
    axes.set(ylim=(0, 1), xlabel="coordination number", ylabel="probability")
    axes.set(xticks=[cn for cn in answer.classes if cn % 2 == 0], yticks=(0, 0.5, 1))
    axes.set_title(title, fontsize="small")
    axes.grid(color=GRID, axis="y")
    axes.set_axisbelow(True)
