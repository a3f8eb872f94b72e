"""What the CN tab asks of Larix: its commands, its list of groups, its other tabs' work, windows and files."""

from pathlib import Path

import wx
from larch.wxlib import FileSave, Popup
from matplotlib import rc_context, rcParams

from ..errors import CNPredictError
from .answers import is_of_other_mu
from .table import as_text

NO_GROUP = "No current group: read data, or choose one in the list at the left"
NONE_SELECTED = "No groups selected: check them in the list at the left"


def say(frame, problem: str | Exception) -> None:
    """Write an error to the Larch buffer and to the status bar."""
    message = str(problem)
    if not isinstance(problem, str | CNPredictError):
        message = f"larch-cnpredict failed, please report this: {type(problem).__name__}: {problem}"
    frame.larch.set_textstyle("error")
    frame.larch.write(f"{message}\n")
    frame.larch.set_textstyle("text")
    frame.write_message(message)


def guarded(frame, action):
    """A handler of events that says its errors: wx prints those that leave it, to the terminal only."""

    def run(event):
        try:
            action(event)
        except Exception as err:  # noqa: BLE001  (whatever it is, Larix must go on)
            say(frame, err)

    return run


def exists(controller, dgroup) -> bool:
    """Whether Larix still lists the group; one that is removed from the list stays among Larch's variables."""
    there = dgroup.groupname in controller.file_groups.values()
    return there and dgroup is getattr(controller.symtable, dgroup.groupname, None)


def is_open(tab) -> bool:
    """Whether tab and Larix are there to stay: when Larix is closed, wx sees to all that is waiting, then deletes it.

    A window that were opened meanwhile would keep it from ending.
    """
    return bool(tab) and not wx.GetApp().IsScheduledForDestruction(tab.parent)


def evaluate(tab, command):
    """The value of a Larch command, or the error that ended it."""
    system = tab.controller.symtable._sys
    system.last_error = None
    answer = tab.larch_eval(command)
    error = system.last_error
    return answer if error is None else CNPredictError(str(error.exc_info[1] or error.msg))


def show_figure(tab, key, command):
    """The figure that a Larch command makes, in a window that closes with Larix; None where there is an error."""
    with rc_context({"axes.labelcolor": rcParams["text.color"]}):  # Larix's dark theme leaves these black
        figure = evaluate(tab, command)
    if isinstance(figure, Exception):
        tab.write_message(str(figure))
        return None
    for axes in figure.axes:
        axes.tick_params(grid_color=rcParams["grid.color"])
    windows = tab.parent.subframes
    if windows.get(key):  # wx: false where the user has closed it
        windows[key].Close()
    windows[key] = figure.canvas.manager.frame
    windows[key].SetTitle("Coordination Numbers")
    windows[key].Show()
    return figure


def copy(tab, text, message) -> None:
    """Text to the clipboard."""
    if wx.TheClipboard.Open():
        wx.TheClipboard.SetData(wx.TextDataObject(text))
        wx.TheClipboard.Close()
        tab.write_message(message)


def save(tab, rows, name):
    """A table to a file that the user chooses; of groups that have no answer there are fewer cells."""
    if not rows:
        return tab.write_message(NONE_SELECTED)
    path = FileSave(tab, "Save Coordination Numbers", name, wildcard="CSV Files (*.csv)|*.csv")
    question = f"Overwrite {path}?", "Overwrite existing file?"
    if not path or (Path(path).exists() and Popup(tab, *question, style=wx.YES_NO) != wx.ID_YES):
        return None
    try:
        columns = max(rows, key=len)
        Path(path).write_text(as_text(rows, columns, "excel"), encoding="utf-8")
    except OSError as err:
        problem = f"{path} could not be written ({err.strerror}): choose another folder"
        say(tab.parent, problem)
        return Popup(tab, problem, "Coordination numbers not saved", style=wx.OK | wx.ICON_ERROR)
    return tab.write_message(f"Wrote {len(rows)} rows to {path}")


def make_chi(tab, dgroup) -> tuple[bool, str]:
    """See that the group has the chi(R) of its mu(E), from the EXAFS tab and its settings: whether there was work, and
    a problem."""
    anew = is_of_other_mu(dgroup)
    if (getattr(dgroup, "chir_mag", None) is not None and not anew) or not tab.is_xasgroup(dgroup):
        return False, ""
    problem = ""
    if getattr(dgroup, "is_frozen", False):
        problem = "This group is frozen and has no chi(R): process it on the EXAFS tab first"
    else:
        try:
            if anew or not (hasattr(dgroup, "norm") and hasattr(dgroup, "e0")):
                page(tab.parent, "xasnorm").process(dgroup, force=True, use_form=False)
            exafs = page(tab.parent, "exafs")
            exafs.get_config(dgroup)  # sets the k limits, which are -1 in a group just read
            exafs.process(dgroup, force=anew)
            if is_of_other_mu(dgroup):
                problem = "Larix could not process this group anew on the EXAFS tab after mu(E) had changed"
        except Exception as err:  # noqa: BLE001  (whatever Larix meets in bad data, the other groups go on)
            problem = f"Larix could not process this group on the EXAFS tab: {err}"
    if problem:
        say(tab.parent, f"{dgroup.filename}: {problem}")
    return True, problem


def focused(tab, before=None):
    """What has the keyboard; what had it `before`, where a command has given it to the Larch buffer's window."""
    now = wx.Window.FindFocus()
    return now if now and now.TopLevelParent is tab.parent else before


def focus(tab, before) -> None:
    """The keyboard to what had it on the tab, where a plot has given it to the list of groups."""
    if before and tab.IsDescendant(before):
        wx.CallAfter(lambda: before and before.SetFocus())  # after the Larch buffer, which takes it late


def page(frame, key):
    """Another tab, which may have to be opened; the one that is shown stays."""
    shown = frame.nb.GetSelection()
    page = frame.get_nbpage(key)[1]
    if frame.nb.GetSelection() != shown:
        frame.nb.SetSelection(shown)
    return page


def show_all_tabs(notebook) -> None:
    """Lay the tabs out anew in a low window, and scroll the bar of tabs back to the first, where all fit.

    wx scrolls it whenever the last tab is chosen, unless there were room for gaps of 10 px that it does not draw.
    """
    if not notebook:  # Larix has been closed since this was asked for
        return
    room = notebook.Parent
    if room.VirtualSize.height > room.ClientSize.height or notebook.MinSize.height > notebook.Size.height:
        room.FitInside()
        room.Layout()
    bar = notebook._pages
    draws = bar._mgr.GetRenderer(notebook.GetAGWWindowStyleFlag())
    widths = [draws.CalcTabWidth(bar, i, draws.CalcTabHeight(bar)) for i in range(notebook.GetPageCount())]
    if notebook.GetPadding() + sum(widths) + draws.GetButtonsAreaLength(bar) < bar.ClientSize.width:
        bar._nFrom = 0
        bar.Refresh()
