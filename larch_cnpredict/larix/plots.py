"""What the tab draws into Larix's plot window: |chi(R)|, what carried the answer, how probable each number is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ..plot import R_SHOWN, RED, chir_label, draw_nearest, draw_probabilities, shade, short
from ..result import Prediction
from ..spectrum import read_spectrum
from ..transform import settings
from .batch import count

LIGHT_RED = "#ff8a80"  # letters in RED are hard to read on black
LEGEND = 10  # lines that have room in a legend
HEADROOM = 1.6  # height of the plot in units of the highest |chi(R)|: above it is room for the probabilities


def plot_one(tab: Any, group: Any, why: bool) -> None:
    """Plot a group and its answer. `why`: find out what carried it where that is not known, by tens of predictions."""
    panel = tab.controller.get_display(win=1).panel
    if getattr(group, "chir_mag", None) is None:
        return draw_nothing(panel, f"{group.filename}: no chi(R) yet")
    found = tab.answer(group)
    title = short(group.filename, 50) + (f": {found.said_short}" if found else "")
    explain = f"\nexplain({group.groupname})" if why and found and not hasattr(group.cn_predict, "nearest") else ""
    with drawn_once(panel, group):
        tab.larch_eval(chir_command(group, title) + explain)
        if found is not None:
            draw_answer(panel, group, found)
    return None


def plot_several(tab: Any, groups: list) -> None:
    """Plot groups over each other, each with its number: as many as Larix' plot has looks of lines for."""
    panel, commands = tab.controller.get_display(win=1).panel, list[str]()
    drawn = groups[: len(panel.conf.traces)]
    title = count(len(groups)) if drawn == groups else f"{len(drawn)} of {count(len(groups))}"
    for group in drawn:
        found = tab.answer(group)
        words = short(group.filename, 24) + (f": {found.said_short}" if found else "")
        commands.append(chir_command(group, title, label=words, new=not commands, delay_draw=True))
    with drawn_once(panel, groups[0]):
        tab.larch_eval("\n".join([*commands, "redraw(win=1, show_legend=True)"]))
        panel.conf.draw_legend(show=len(groups) <= LEGEND)
    tab.write_message(f"Plotted {title}")


@contextmanager
def drawn_once(panel: Any, group: Any) -> Iterator[None]:
    """Label and draw when all is there: Larch does it after each thing that it adds, eight times for one plot."""
    draw, panel.canvas.draw = panel.canvas.draw, lambda *args, **kws: None
    labels, shown = dict[str, Any](), dict[str, Any]()
    relabel, panel.conf.relabel = panel.conf.relabel, lambda **kws: labels.update(kws)
    unzoom, panel.unzoom_all = panel.unzoom_all, lambda *args, **kws: None
    legend, panel.conf.draw_legend = panel.conf.draw_legend, lambda **kws: shown.update(kws)
    try:
        yield
    finally:
        panel.conf.relabel, panel.conf.draw_legend, panel.unzoom_all = relabel, legend, unzoom
        unzoom()
        panel.canvas.draw = draw
        legend(**shown | {"delay_draw": True})
        relabel(**labels | {"ylabel": label(group), "delay_draw": True})
        draw()


def chir_command(group: Any, title: str, **options: Any) -> str:
    text = "".join(f", {key}={value!r}" for key, value in options.items())
    return f"plot_chir({group.groupname}, show_mag=True, rmax={R_SHOWN:g}, win=1, title={title!r}{text})"


def label(group: Any) -> str:
    """Larch's own label forgets that the integral over k adds one to the power."""
    made = settings(getattr(getattr(group, "callargs", None), "xftf", None), None)
    return chir_label(made["kweight"] if made else 2)


def draw_nothing(panel: Any, title: str) -> None:
    """An empty plot that says whose it is: the group before must not be taken for this one."""
    for inset in list(panel.axes.child_axes):
        inset.remove()
    panel.clear()
    panel.set_title(short(title, 50))
    panel.canvas.draw()


def draw_answer(panel: Any, group: Any, found: Prediction) -> None:
    """On top of the group's |chi(R)|: what the models read of it, shaded where it carried the answer, and the bars."""
    axes, made, highest = panel.axes, group.cn_predict, group.chir_mag.max()
    read = read_spectrum(group, found.request)
    if len(read.r) != len(group.r) or not np.allclose(read.chir_mag, group.chir_mag, rtol=1e-3, atol=1e-3 * highest):
        axes.plot(read.r, read.chir_mag, "--", color=panel.conf.textcolor, linewidth=1.5, zorder=5)
        remark(axes, 0.87, "dashed: as the models read it", panel.conf.textcolor)
        highest = max(highest, read.chir_mag.max())
    if hasattr(made, "nearest"):
        words = shade(axes, read, found, np.asarray(made.importance_r), np.asarray(made.importance))
        dark = sum(to_rgb(panel.conf.facecolor)) < 1.5
        remark(axes, 0.97, words.replace("; ", ",\n"), LIGHT_RED if dark else RED)
        if known := draw_nearest(axes, read, found, np.asarray(made.nearest), panel.conf.textcolor):
            remark(axes, 0.82, f"dotted: {known}".replace("site: ", "site:\n"), panel.conf.textcolor)
            highest = max(highest, np.max(made.nearest))
    panel.conf.draw_legend(show=False)
    panel.set_xylims([0, R_SHOWN, 0, HEADROOM * highest])
    corner = axes.inset_axes([0.62, 0.6, 0.36, 0.3])
    draw_probabilities(corner, found)
    in_colours_of(panel, corner)
    corner.set_in_layout(False)  # inside of what is laid out already


def remark(axes: Axes, height: float, words: str, colour: str) -> None:
    axes.text(0.02, height, words, transform=axes.transAxes, color=colour, size="x-small", va="top")


def in_colours_of(panel: Any, corner: Axes) -> None:
    """Small letters, in the colours that the theme of Larix's plot has."""
    conf = panel.conf
    corner.set_facecolor(conf.facecolor)
    corner.tick_params(labelsize="x-small", which="both", colors=conf.textcolor)
    for item in (corner.title, corner.xaxis.label, corner.yaxis.label):
        item.set(fontsize="x-small", color=conf.textcolor)
    corner.spines[:].set_color(conf.textcolor)
    corner.grid(color=conf.gridcolor, axis="y")
