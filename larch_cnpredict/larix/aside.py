"""What takes long, in a thread beside Larix's own: the models are loaded, and components of a series are looked for."""

from contextlib import suppress
from functools import cache, partial
from threading import Thread

import numpy as np
import wx
from larch import Group

from ..components import FEWEST
from ..explanation import explain
from ..series import found, found_before
from . import host
from .answers import stamp_of
from .batch import count


def aside(tab, work, then=lambda made: None) -> None:
    """Do what takes long in a thread of its own, then what follows in Larix's, with what was made or None."""
    then = host.guarded(tab.parent, then)

    def run():
        made = None
        with suppress(Exception):  # the command that needs it says what is wrong
            made = work()
        wx.CallAfter(lambda: host.is_open(tab) and then(made))

    Thread(target=run, daemon=True).start()


@cache
def wake_models() -> None:
    """Ask the models something, so that they are there when the user asks."""
    k = np.arange(0, 12, 0.05)
    explain(Group(k=k, chi=np.sin(4 * k) * np.exp(-k / 4)), element="Cu")


def picked(tab, figure, event) -> None:
    """A point of the series was met: by the left button, or the wheel or the right one, which mean something else."""
    if event.mouseevent.name == "button_press_event" and event.mouseevent.button == 1:
        tab.onPicked(figure.cn_series.picked(event))
        wx.CallAfter(lambda: (window := tab.parent.subframes.get("cn_series")) and window.Raise())  # over Larix' own


def show_series(tab, groups, wanted, x, then) -> None:
    """Draw the groups that have answers, of all `wanted`, against `x` (None: scan numbers); `then` gets the Series."""

    def show(made=None):
        token = found_before.set(made)
        names, against = ", ".join(group.groupname for group in groups), "" if x is None else f", x={x!r}"
        try:
            figure = host.show_figure(tab, "cn_series", f"plot_cn_series([{names}]{against})")
        finally:  # or the next series would have these components
            found_before.reset(token)
        if figure is not None:
            tab.write_message(f"Series of {len(figure.cn_series.groups)} of {wanted}")
            figure.canvas.mpl_connect("pick_event", partial(picked, tab, figure))
            then(figure.cn_series)

    if len(groups) < FEWEST:
        return show()
    before = list(map(stamp_of, groups))
    tab.write_message(f"Looking for the components of {count(len(groups))} ...")  # of hundreds it takes a second
    work = partial(found, groups, x)
    aside(tab, work, lambda made: show(made if before == list(map(stamp_of, groups)) else None))
