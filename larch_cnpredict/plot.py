"""One figure of an answer: |chi(R)| with the parts that carried it, and how probable each coordination number is."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import OptionError, boundary
from .explanation import explain
from .predict import resolve
from .result import Prediction, is_stale
from .spectrum import Spectrum, read_spectrum, spectrum_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED = "#1f77b4", "#d62728"  # the first two line colours of Larch's own plots
GREY, GRID = "#c8c8c8", "#e5e5e5"
NOTABLE = 0.5  # where ln p falls by less than this, the shade stays paler, whatever the largest is
R_SHOWN = 6.0  # Å


def plot_cn(group: Any, figure: "Figure | None" = None, title: str | None = None, _larch: Any = None) -> "Figure":
    """Plot |chi(R)| of a group as the models read it, what of it carried the answer, and how probable each number is.

    Shaded are the parts of R without which the answer would be less probable, the darkest where ln p falls most. Of
    the bars, those of the 90 % prediction set are blue.

    Parameters
    ----------
    group : Group, or its name
        `explain` is run first where it was not, or where the group has changed since
    figure : matplotlib Figure, optional
        is cleared and drawn into; by default a new one of matplotlib.pyplot
    title : str, optional
        by default the group's name and the answer

    Returns
    -------
    Figure : for a report, `plot_cn(group).savefig('cn.pdf')`

    Raises
    ------
    CNPredictError
        as predict_cn

    Notes
    -----
    Writes `group.cn_predict` where `explain` has to be run, and nothing else.
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure | None):
        raise OptionError("figure", figure, ["None or a matplotlib Figure"])
    with boundary("what was given"):
        group = resolve(group, _larch)
        if not hasattr(getattr(group, "cn_predict", None), "importance") or is_stale(group):
            explain(group)
        answer, made = Prediction.from_group(group.cn_predict), group.cn_predict
        spectrum = read_spectrum(group, answer.request)
        if figure is None:
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=(8, 3.6))
        else:
            figure.clear()
        figure.set_layout_engine("constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        name = spectrum_name(group).strip("'")
        figure.suptitle(str(title) if title else f"{name}\n{answer}", fontsize="medium", wrap=True)
        draw_chir(left, spectrum, made.importance_r, made.importance)
        draw_probabilities(right, answer)
    return figure


def draw_chir(axes: "Axes", spectrum: Spectrum, importance_r: np.ndarray, importance: np.ndarray) -> None:
    """|chi(R)| with the important parts shaded."""
    shown = spectrum.r <= R_SHOWN
    top = 1.08 * spectrum.chir_mag[shown].max() or 1.0
    shades = np.clip(np.asarray(importance), 0, None)
    half = np.diff(importance_r)[0] / 2
    image = axes.imshow(
        shades[None] / max(shades.max(), NOTABLE),
        extent=(importance_r[0] - half, importance_r[-1] + half, 0, top),
        aspect="auto",
        interpolation="bilinear",
        cmap="Reds",
        vmin=0,
        vmax=1.5,  # the darkest reds would hide the line
    )
    area = axes.fill_between(spectrum.r, spectrum.chir_mag, color="none")
    image.set_clip_path(area.get_paths()[0], transform=axes.transData)
    axes.plot(spectrum.r[shown], spectrum.chir_mag[shown], color=BLUE, linewidth=2)
    unit = spectrum.xftf["kweight"] + 1
    axes.set(xlim=(0, R_SHOWN), ylim=(0, top), xlabel=r"$R \rm\,(\AA)$", ylabel=rf"$|\chi(R)| \rm\,(\AA^{{-{unit}}})$")
    axes.set_title("red: without it the answer would be less probable", fontsize="small", color=RED)
    axes.grid(color=GRID)


def draw_probabilities(axes: "Axes", answer: Prediction) -> None:
    """A bar for each coordination number, with the 90 % prediction set in blue."""
    colours = [BLUE if cn in answer.cn_set else GREY for cn in answer.classes]
    axes.bar(answer.classes, answer.probabilities, color=colours)
    axes.set(ylim=(0, 1), xlabel="coordination number", ylabel="probability")
    axes.set_xticks(answer.classes, minor=True)
    axes.set_xticks([cn for cn in answer.classes if cn % 2 == 0])
    axes.set_title("blue: 90 % prediction set", fontsize="small", color=BLUE)
    axes.grid(color=GRID, axis="y")
    axes.set_axisbelow(True)
