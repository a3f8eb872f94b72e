"""What is done in the running Larix. Each function drives it and returns what was seen; the tests judge that."""

import contextlib
import os
import sys
import time
from pathlib import Path


def cn_tab(larix):
    return larix.tab("cnpredict")


def texts(page):
    return {name: page.wids[name].Label for name in ("answer", "numbers", "status")} | {
        "details": page.wids["details"].Value
    }


def cells(grid):
    return [[grid.GetCellValue(i, j) for j in range(grid.NumberCols)] for i in range(grid.NumberRows)]


def said(larix):
    return larix.frame.statusbar.GetStatusText(0)


def options_of(larix, name):
    from larch_cnpredict.larix import asked

    return asked.options(larix.group(name))


def finished(larix, page):
    larix.wait(lambda: page.batch is None)
    larix.settle()
    return page


def predict(larix, entry="Predict CN for Current"):
    larix.menu("CN", entry)
    return finished(larix, larix.frame.nb.GetCurrentPage())


def values(larix, name):
    made = getattr(larix.group(name), "cn_predict", None)
    wanted = ("cn", "element", "in_domain", "probabilities")
    return None if made is None else {key: getattr(made, key) for key in wanted}


def start(larix):
    """Tabs and menus of Larix as it comes up, and after the menu was asked for the panel."""
    bar = larix.frame.menubar
    labels = [item.ItemLabel for item in bar.GetMenu(bar.FindMenu("CN")).MenuItems if not item.IsSeparator()]
    out = larix.came_up | {"labels": labels}
    larix.menu("CN", "Show CN Panel")
    larix.frame.SetSize((1050, 850))
    larix.settle()
    out["in_sight"] = []
    for key in list(larix.frame.get_panels())[:-1]:
        larix.tab(key)
        if larix.frame.mode == "all":  # not all fit, and wx scrolls them as it likes
            cn_tab(larix)
        else:
            larix.press_tab("cnpredict")
        bar, ours = larix.on_bar("cnpredict")
        out["in_sight"].append([bar._nFrom, ours.GetPosition().x > 0])
    return out | {"shown": type(larix.frame.nb.GetCurrentPage()).__name__, "said": larix.buffer()}


def project(larix, path, folder):
    """A whole sitting: import, predict, look, compare, hand on, save."""
    names = larix.read_athena(path)
    current = names[-1]
    out = {"names": names, "had_chi": [hasattr(larix.group(name), "chir_mag") for name in names]}
    page = predict(larix)
    out |= {"one": texts(page), "sites": cells(page.wids["sites"])}
    out |= {"value": values(larix, current), "xftf": larix.group(current).callargs.xftf}
    plot = larix.controller.get_display(win=1).panel
    out |= {"insets": [len(plot.axes.child_axes)], "shades": len(plot.axes.images)}
    out["before_selected"] = values(larix, names[0])
    larix.check(names)
    out["unpredicted"] = cells(page.wids["table"])
    predict(larix, "Predict CN for Selected")
    out["table"] = cells(page.wids["table"])
    out["values"] = [values(larix, name) for name in names]

    import wx.grid

    grid = page.wids["table"]
    for key in ("rising", "falling"):
        grid.ProcessEvent(wx.grid.GridEvent(grid.Id, wx.grid.EVT_GRID_COL_SORT.typeId, grid, -1, 2))
        out[key] = [row[2] for row in cells(grid)]
    table = Path(folder) / "cn.csv"
    with larix.answering(table):
        larix.menu("CN", "Export")
    out["csv"] = table.read_text(encoding="utf-8")
    larix.click(page.wids["copy"])
    out["copied"] = pasted(larix)
    larix.menu("CN", "Show Model Card")
    out["card"] = larix.frame.subframes["cn_model_card"].page.ToText()
    larix.menu("Help", "Coordination Numbers")
    out["guide"] = larix.frame.subframes["cn_guide"].page.ToText()
    larix.tab("exafs").onPlotOne()
    out["insets"].append(len(plot.axes.child_axes))
    script, session = Path(folder) / "history.lar", Path(folder) / "saved.larix"
    with larix.answering(script):
        larix.menu("File", "Save Larch History")
    with larix.answering(session):
        larix.menu("File", "Save Larch Session As")
    out["groups"] = [larix.group(name).groupname for name in names]
    return out | {"script": str(script), "session": str(session), "buffer": larix.buffer()}


def changes(larix, path):
    """Whatever changes a group marks its result, also while the panel is looked at."""
    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    seen = {"fresh": texts(page)}
    group = larix.group(names[-1])
    name = group.groupname
    for what, command in (("chi", f"{name}.chi[60:80] *= 2"), ("chi back", f"{name}.chi[60:80] /= 2")):
        larix.larch.eval(command)
        larix.settle()
        seen[what] = texts(page) | {"row": cells(page.wids["table"])[-1]}
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    seen["again"] = texts(page)
    # one left alone stays as it was
    larix.select(names[0])
    return seen | {"other": texts(page)}


def refused(larix, path):
    """A spectrum of an element that the models do not know, among others."""
    names = larix.read_athena(path)
    strange = next(name for name in names if name.startswith("Ge"))
    larix.check(names)
    larix.tab("exafs")
    larix.select(strange)
    before = sorted(vars(larix.group(strange)))
    page = predict(larix)
    out = {"one": texts(page), "buffer": larix.buffer(), "before": before, "after": sorted(vars(larix.group(strange)))}
    out["statusbar"] = said(larix)
    predict(larix, "Predict CN for Selected")
    out["rows"] = cells(page.wids["table"])
    out["still"] = []
    for key in ("xasnorm", "exafs"):
        larix.press_tab(key)
        for name in names:
            larix.select(name)
        larix.press_tab("cnpredict")
        out["still"].append(cells(page.wids["table"]))
    rename(larix, strange, "another name")
    larix.check(larix.controller.filelist.GetItems())
    out["still"].append(cells(page.wids["table"]))
    # overruled, it is answered, and says so
    larix.choose(page.wids["absorber"], "Cu")
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    return out | {
        "overruled": values(larix, "another name"),
        "command": larix.buffer(),
        "notes": texts(page)["details"],
    }


def frozen(larix, path):
    """A frozen group is predicted from the chi(R) that it has, and not processed where it has none."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    for name in names[:2]:
        larix.group(name).is_frozen = True
    larix.tab("exafs")
    larix.select(names[1])
    made = larix.group(names[1]).chir_mag.copy()
    cn_tab(larix)
    larix.check(names)
    predict(larix, "Predict CN for Selected")
    same = bool((larix.group(names[1]).chir_mag == made).all())
    return {"rows": cells(page.wids["table"]), "chi": hasattr(larix.group(names[0]), "chi"), "same": same}


def copied(larix, path, groups):
    """So many groups, all checked; those that were copied have their chi(R)."""
    (first, *rest) = larix.read_athena(path)
    larix.tab("exafs")
    larix.select(first)
    for _ in range(groups - 1 - len(rest)):
        copy = larix.controller.copy_group(first)
        larix.controller.install_group(copy.groupname, copy.filename)
    names = list(larix.controller.filelist.GetItems())
    larix.check(names)
    return names


def plot_many(larix, path, groups):
    """More groups than the plot of Larix can hold."""
    copied(larix, path, groups)
    page = cn_tab(larix)
    for name in larix.controller.filelist.GetItems()[:2]:
        larix.larch.eval(f"predict_cn({larix.group(name).groupname}, element='Ni')")
    larix.click(page.wids["plot_sel"])
    plot = larix.controller.get_display(win=1).panel
    out = {"lines": len([line for line in plot.axes.lines if len(line.get_xdata()) > 2])}
    out |= {"said": said(larix), "title": plot.axes.get_title(), "buffer": larix.buffer()}
    larix.check(larix.controller.filelist.GetItems()[:2])
    larix.click(page.wids["plot_sel"])
    return out | {"legend": [text.get_text() for text in plot.axes.get_legend().texts]}


def seconds(larix, path, groups):
    """Time to predict and show groups that have their chi(R): the first time, and again."""
    names = copied(larix, path, groups)
    assert all(hasattr(larix.group(name), "chir_mag") for name in names)
    page = cn_tab(larix)
    out = []
    for _ in range(2):
        start = time.perf_counter()
        larix.click(page.wids["predict_sel"])
        finished(larix, page)
        out.append(time.perf_counter() - start)
    assert page.wids["table"].NumberRows == groups
    return out


def many(larix, path, groups):
    """A long batch: cancelled in the middle with Larix answering all the while; then to its end."""
    names = copied(larix, path, groups)
    page = cn_tab(larix)
    larix.click(page.wids["predict_sel"], settle=False)
    progress = []

    def done():
        progress.append(page.wids["progress"].Value)
        return sum(values(larix, name) is not None for name in names)

    larix.wait(lambda: done() >= 10)
    larix.select(names[3], settle=False)  # a user goes on working, and so does the batch
    shown, done_before = texts(page), done()
    page.onPredictOne()
    larix.wait(lambda: done() > done_before)
    out = {"refused": said(larix)}
    larix.click(page.wids["cancel"])
    out |= {"shown": shown, "cancelled": done(), "message": said(larix)}
    larix.elapse(200)
    larix.settle()
    out |= {"later": done(), "buttons": page.wids["predict_sel"].IsEnabled()}
    larix.click(page.wids["predict_sel"])
    finished(larix, page)
    commands = [line for line in larix.buffer().splitlines() if line.startswith("predict_cn(")]
    return out | {"all": done(), "groups": len(names), "progress": progress, "commands": len(commands)}


def preferences(larix, path):
    """The settings in Preferences, obeyed at the next choice of a group; a configuration saved under a name."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select(names[0])
    out = {"unasked": [texts(page), hasattr(larix.group(names[0]), "chi")]}
    larix.menu("Preferences", "Edit Preferences")
    frame = larix.frame.subframes["preferences"]
    larix.choose(frame.wids["cnpredict"]["auto_predict"], "True")
    larix.click(frame.save_btn)
    larix.select(names[1], settle=False)
    larix.wait(lambda: page.batch)
    larix.select(names[2], settle=False)  # while the one before is being predicted
    larix.wait(lambda: values(larix, names[2]))
    finished(larix, page)
    out["both"] = [hasattr(larix.group(name), "cn_predict") for name in names]
    out |= {"asked": texts(page), "conf": larix.controller.config_file.read_text(encoding="utf-8")}
    for name, value in (("auto_plot", "False"), ("model", "bagging"), ("transform", "Group's own")):
        larix.choose(frame.wids["cnpredict"][name], value)
    larix.click(frame.save_btn)
    return out | {"mine": save_settings(larix, page)}


def save_settings(larix, page):
    """Settings of the tab, saved as 'mine'."""
    larix.choose(page.wids["model"], "forest")
    larix.choose(page.wids["transform"], "As for training")
    page.wids["plot_on_choose"].SetValue(False)
    larix.click(page.wids["conf_save"])
    frame = larix.frame.subframes["cnpredict_conf"]
    frame.wids["conf_name"].SetValue("mine")
    larix.click(frame.wids["save_btn"])
    return settings(page)


def settings_kept(larix):
    """The next Larix of the same user: its configuration, what the tab starts with, and what was saved."""
    page = cn_tab(larix)
    first = settings(page)
    larix.choose(page.wids["conf_choice"], "mine")
    return {"config": larix.controller.config["cnpredict"], "first": first, "mine": settings(page)}


def reopen(larix, path, renamed=None):
    """A session with results, in a new Larix, with or without the plugin; its groups renamed, and saved again."""
    larix.frame.onLoadSession(path=path)
    larix.settle()
    from larch.wxxas.xas_dialogs import LoadSessionDialog

    (dialog,) = [window for window in larix.wx.GetTopLevelWindows() if isinstance(window, LoadSessionDialog)]
    dialog.onImport()
    larix.settle()
    names = list(larix.controller.filelist.GetItems())
    out = {"tabs": list(larix.frame.get_panels()), "names": names, "values": [values(larix, name) for name in names]}
    if "cnpredict" in out["tabs"]:
        page = cn_tab(larix)
        larix.check(names)
        out |= {"one": texts(page), "rows": cells(page.wids["table"])}
    if renamed:
        for name in names:
            rename(larix, name, f"{name} renamed")
        with larix.answering(renamed):
            larix.menu("File", "Save Larch Session As")
    return out


def rename(larix, name, new):
    """As Larix does it, with the answer of its dialog given."""
    from types import SimpleNamespace

    from larch.wxxas import xasgui

    answer = SimpleNamespace(ok=True, newname=new)
    xasgui.RenameDialog = lambda *args: SimpleNamespace(GetResponse=lambda: answer, Destroy=lambda: None)
    larix.controller.filelist.SetStringSelection(name)
    larix.frame.onRenameGroup()
    larix.settle()


def works(larix, path):
    """Larix itself, whatever happened to the plugin."""
    names = larix.read_athena(path)
    larix.tab("exafs")
    larix.select(names[0])
    larix.wx.Frame(larix.frame).Show()  # at any new window it is looked whether it is one of Larix
    larix.elapse(300)
    out = {"chir": hasattr(larix.group(names[0]), "chir_mag"), "tabs": list(larix.frame.get_panels())}
    bar = larix.frame.menubar
    if bar.FindMenu("CN") != larix.wx.NOT_FOUND:
        larix.menu("CN", "Predict CN for Current")
        page = larix.frame.get_panels().get("cnpredict")
        if page is not None:
            finished(larix, larix.frame.nb.GetPage(page))
            out["one"] = texts(larix.frame.nb.GetPage(page))
        larix.menu("CN", "Show Model Card")
    return out | {"buffer": larix.buffer()}


# --- broken on purpose, before Larix starts


def break_import():
    sys.modules["larch_cnpredict.larix.panel"] = None  # type: ignore[assignment]


def break_panel():
    from larch_cnpredict.larix.panel import CNPanel

    def build_display(self):
        raise ZeroDivisionError("broken on purpose")

    CNPanel.build_display = build_display


def break_predicting():
    sys.modules["larch_cnpredict.predict"] = None  # type: ignore[assignment]


# --- for the documentation


SIZES = (1050, 850), (1366, 720), (1920, 1080)


def resize(larix, plot, width, height):
    """Larix at this size, its plot beside it, or over its lower right corner where the screen ends."""
    larix.frame.SetSize((width, height))
    larix.frame.SetPosition((0, 0))
    larix.settle()
    plot.SetPosition((min(larix.frame.GetScreenRect().Right + 2, 1600), larix.frame.GetScreenRect().Top))
    plot.Raise()


def screenshots(larix, path, folder):
    """Pictures at three sizes, and whatever does not fit: a widget out of sight, a text wider than its place."""
    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    plot = larix.controller.get_display(win=1)
    cut = []
    for width, height in SIZES:
        resize(larix, plot, width, height)
        larix.select(names[0])
        larix.click(page.wids["plot_one"])
        plot.Raise()
        larix.screenshot(os.path.join(folder, f"larix_{width}x{height}.png"), larix.frame, plot)
        room = larix.frame.nb.Parent.GetScreenRect()
        outside = [name for name, widget in page.wids.items() if not room.Contains(widget.GetScreenRect())]
        low = ["table"] if page.wids["table"].Size.height < 90 else []
        cut += [f"{name} at {width}" for name in outside + clipped(larix, page) + low]
    return cut


def low_screens(larix, path):
    """The lowest control of each tab in low windows, after scrolling to the end: how far it is below what is seen."""
    larix.read_athena(path)
    out = {}

    def below(page):
        room = larix.frame.nb.Parent
        room.Scroll(0, 10000)
        larix.settle()
        shown = [w for w in everything_in(page) if isinstance(w, (larix.wx.Control, larix.wx.grid.Grid))]
        return max(w.ScreenRect.Bottom for w in shown) - room.ScreenRect.Bottom

    for size in ((1050, 850), (1024, 768), (800, 600)):
        larix.frame.SetSize(size)
        larix.settle()
        for key in (*larix.frame.get_panels(), "xasnorm"):
            page = larix.tab(key)
            out[f"{key} {size[1]}"] = [below(page), larix.frame.nb.MinSize.height]
    larix.frame.SetSize((1050, 850))
    cn_tab(larix)
    larix.frame.nb.DeletePage(larix.frame.get_panels()["cnpredict"])  # its x may still be on its way to where it was
    larix.settle()
    return out | {"when it is closed": [0, larix.frame.nb.MinSize.height]}


def everything_in(window):
    for child in window.Children:
        if child.Shown:
            yield child
            yield from everything_in(child)


def closed(larix, path, groups):
    """The x of the tab, and Apply Now in Preferences, while a batch runs that takes its time."""
    from larch_cnpredict.larix import panel

    names = copied(larix, path, groups)
    usual, panel.PAUSE = panel.PAUSE, 300

    def begin():
        page = cn_tab(larix)
        larix.check(names)
        larix.press(page.wids["predict_sel"], settle=False)
        larix.wait(lambda: sum(values(larix, name) is not None for name in names) >= 1)
        assert page.batch
        return page

    pages, out = [begin()], []  # kept: when Python lets go of them is a matter of chance
    larix.close_tab("cnpredict")
    larix.elapse(2 * panel.PAUSE)
    out.append([list(larix.frame.get_panels()), sum(values(larix, name) is not None for name in names)])
    for name in names:
        vars(larix.group(name)).pop("cn_predict", None)
    pages.append(begin())
    larix.menu("Preferences", "Edit Preferences", settle=False)
    larix.frame.subframes["preferences"].panselect.OnApply()
    larix.elapse(2 * panel.PAUSE)
    out.append([list(larix.frame.get_panels()), sum(values(larix, name) is not None for name in names)])
    panel.PAUSE = usual
    page = finished(larix, begin())
    return {"closed": out, "rows": cells(page.wids["table"])}


def options(larix, path):
    """A model, a transform and an absorber chosen, for many groups and for one."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select(names[0])
    larix.choose(page.wids["absorber"], "Cu")
    larix.check(names)
    seen = {}
    for model in page.wids["model"].Items:
        for transform in page.wids["transform"].Items[:2]:
            larix.choose(page.wids["model"], model)
            larix.choose(page.wids["transform"], transform)
            larix.click(page.wids["predict_sel"])
            finished(larix, page)
            made = [larix.group(name).cn_predict for name in names if values(larix, name)]
            seen[f"{model} {transform}"] = [[one.model for one in made], cells(page.wids["table"])]
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    return {"seen": seen, "one": texts(page), "buffer": larix.buffer()}


def drag_sash(larix, page, by):
    """The border between the list of groups and the tabs, moved with the mouse; by how much it went."""
    window = page
    while not isinstance(window, larix.wx.SplitterWindow):
        window = window.Parent
    before = window.SashPosition
    robot, x = larix.wx.UIActionSimulator(), window.SashPosition + window.SashSize // 2
    robot.MouseMove(window.ClientToScreen(x, 300))
    larix.settle()
    robot.MouseDown()
    larix.settle()
    for step in (1, 0):
        robot.MouseMove(window.ClientToScreen(x + by - step, 300))
        larix.settle()
    robot.MouseUp()
    larix.settle()
    return window.SashPosition - before


def clipped(larix, page):
    """What does not have the room that its words need."""
    kinds = larix.wx.StaticText, larix.wx.Button, larix.wx.Choice, larix.wx.CheckBox

    def needed(widget):
        words = widget.GetTextExtent(widget.Label).width if isinstance(widget, larix.wx.StaticText) else 0
        return max(words, widget.BestSize.width)

    shown = {name: widget for name, widget in page.wids.items() if isinstance(widget, kinds)}
    shown.pop("series_x")  # of names that are not ours, some are long
    return [name for name, widget in shown.items() if needed(widget) > widget.Size.width]


def room(larix, path):
    """Numbers of two digits stay legible, whatever is done to the window."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select("Cu_foil" if "Cu_foil" in names else names[0])
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    out = {"answer": texts(page)["answer"], "at first": clipped(larix, page)}
    larix.tab("exafs")
    cn_tab(larix)
    out["tab"] = clipped(larix, page)
    for size in ((1100, 860), (1050, 850)):
        larix.frame.SetSize(size)
        larix.settle()
    out["resize"] = clipped(larix, page)
    out["moved"] = drag_sash(larix, page, 30)
    out["sash"] = clipped(larix, page)
    group = larix.controller.get_group()
    larix.check([group.filename])
    group.cn_predict.cn_set = [4, 5, 6, 7, 8]
    group.cn_predict.cn_mean_interval = [10.1, 12.9]
    out["wide"] = []
    for size in ((1050, 850), (1900, 1000)):
        larix.frame.SetSize(size)
        larix.settle()
        page.refresh()
        larix.settle()
        grid, set_column = page.wids["table"], 3
        cut = grid.GetTextExtent(grid.GetCellValue(0, set_column)).width + 4 > grid.GetColSize(set_column)
        out["wide"].append([clipped(larix, page), page.wids["numbers"].Size.width, cut])
    return out


def no_chi(larix, path):
    """Auto-Plot, and a group that has nothing to plot."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select(names[0])
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    plot = larix.controller.get_display(win=1).panel

    def drawn():
        axes = plot.axes
        lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
        return {
            "lines": len(lines),
            "shades": len(axes.images),
            "bars": len(axes.child_axes),
            "title": axes.get_title(),
        }

    out = {"with": drawn(), "journal": len([e for e in larix.group(names[0]).journal if e.key == "cn_predict"])}
    out["unit"] = plot.axes.get_ylabel()
    larix.select(names[1])
    return out | {"without": drawn(), "name": names[1]}


def sorting(larix, path):
    """Headings clicked, of a table whose order as text is another."""
    import wx.grid

    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    for name, mean, inside in zip(names, (11.8, 2.4, 6.6), ([12], [2, 10], [2, 6]), strict=True):
        made = larix.group(name).cn_predict
        made.cn_mean, made.cn_set = mean, inside
    page.refresh()
    grid, out = page.wids["table"], {}
    labels = [grid.GetColLabelValue(i) for i in range(grid.NumberCols)]
    for heading in ("Mean", "90 % set", "Group"):
        column = labels.index(heading)
        grid.ProcessEvent(wx.grid.GridEvent(grid.Id, wx.grid.EVT_GRID_COL_SORT.typeId, grid, -1, column))
        out[heading] = [row[column] for row in cells(grid)]
    return out


def wheel(larix, path):
    """The wheel of the mouse over every choice."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select(names[0])
    choices = {name: w for name, w in page.wids.items() if isinstance(w, larix.wx.Choice)}
    before = {name: choice.StringSelection for name, choice in choices.items()}
    for choice in choices.values():
        for focused in (False, True):
            if focused:
                choice.SetFocus()
            larix.wheel(choice)
    return before, {name: choice.StringSelection for name, choice in choices.items()}


def crowded(larix, path, groups):
    """What else asks for Larix while a batch runs: is it heard between any two commands?"""
    copied(larix, path, groups)
    page = cn_tab(larix)
    heard, idle, gauge = [], [], []

    def called():
        heard.append(len(page.command_hist))
        gauge.append(page.wids["progress"].Value)
        if page.batch:
            larix.wx.CallLater(1, larix.wx.CallAfter, called)

    larix.frame.Bind(larix.wx.EVT_IDLE, lambda event: idle.append(len(page.command_hist)))
    larix.click(page.wids["predict_sel"], settle=False)
    larix.wx.CallAfter(called)
    finished(larix, page)
    return {"heard": heard, "idle": idle, "gauge": gauge, "commands": len(page.command_hist)}


def leaving(larix, path, groups):
    """A group removed, one renamed while they are asked about; one group, and none that is checked."""
    names = copied(larix, path, groups)
    page = cn_tab(larix)
    larix.click(page.wids["predict_sel"], settle=False)
    group = larix.group(names[-2])
    larix.controller.filelist.SetStringSelection(names[-1])
    with larix.answering(larix.wx.ID_YES):
        larix.frame.onRemoveGroup()
    assert page.batch
    group.filename = "renamed"
    larix.controller.file_groups["renamed"] = larix.controller.file_groups.pop(names[-2])
    finished(larix, page)
    out = {"message": said(larix), "renamed": hasattr(group, "cn_predict")}
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    out["one"] = said(larix)

    def step():
        raise ZeroDivisionError("broken on purpose")

    larix.click(page.wids["predict_one"], settle=False)
    page.batch.step = step
    finished(larix, page)
    larix.elapse(100)
    return out | {"broken": said(larix)}


def second(larix, path=None):
    """Tabs and menus of the first window, and of another of the same program; both predict at the same time."""
    from larch.wxxas.xasgui import LarixFrame

    first = start(larix)

    frame = LarixFrame(mode="exafs", check_version=False)
    larix.wait(lambda: frame.statusbar.GetStatusText(1) == "ready")
    bar = frame.menubar
    larix.wait(lambda: min(b.FindMenu("CN") for b in (bar, larix.frame.menubar)) >= 0)
    larix.elapse(300)  # for a second one, were there one to come
    names, pages = [], []
    if path:
        names = larix.read_athena(path)
        frame.onReadAthenaProject_OK(str(path), names)
        pages = [window.get_nbpage("cnpredict")[1] for window in (larix.frame, frame)]
    for page, wanted in zip(pages, (names[:2], names), strict=False):
        page.controller.filelist.SetCheckedStrings(wanted)
        larix.click(page.wids["predict_sel"], settle=False)
    for page in pages:
        finished(larix, page)
    return {
        "rows": [cells(page.wids["table"]) for page in pages],
        "menus": [[b.GetMenuLabelText(i) for i in range(b.GetMenuCount())] for b in (bar, larix.frame.menubar)],
        "tabs": list(frame.get_panels()),
        "tabs of the first": first["tabs"],
        "shown": first["shown"],
    }


def keys(larix, path):
    """Only the keyboard: Tab through the whole tab, Enter predicts."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.check(names)
    larix.select(names[0])
    larix.frame.Raise()
    page.wids["predict_one"].SetFocus()
    larix.settle()
    seen = []
    for _ in range(36):
        window = larix.wx.Window.FindFocus()
        inside = [n for n, w in page.wids.items() if w.HasFocus() or (window and w.IsDescendant(window))]
        seen.append(inside[0] if inside else None if window is None else type(window).__name__)
        larix.key(larix.wx.WXK_TAB)
    page.wids["absorber"].SetFocus()
    larix.key(larix.wx.WXK_RETURN)
    finished(larix, page)
    out = {"order": seen, "predicted": hasattr(larix.group(names[0]), "cn_predict"), "focus": []}
    for name in ("formula", "s02", "predict_one"):
        page.wids[name].SetFocus()
        larix.settle()
        larix.key(larix.wx.WXK_RETURN) if name != "predict_one" else larix.press(page.wids[name])
        finished(larix, page)
        window = larix.wx.Window.FindFocus()
        out["focus"] += [n for n, w in page.wids.items() if w is window]
    return out


def words(larix, path):
    """What is said before anything is done, and where something is wrong; where the whole of it is to be read."""
    page = cn_tab(larix)
    out = {"first": texts(page)}
    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.select(names[0])
    out["unpredicted"] = texts(page)
    larix.check(names)
    larix.click(page.wids["predict_sel"])
    finished(larix, page)
    grid, sites = page.wids["table"], page.wids["sites"]
    last = grid.NumberCols - 1
    box = grid.CellToRect(0, last)
    point = grid.CalcScrolledPosition(box.x + 20, box.y + box.height // 2)
    larix.wx.UIActionSimulator().MouseMove(grid.GridWindow.ClientToScreen(point))
    larix.settle()
    out |= {"rows": cells(grid), "tip": grid.GridWindow.GetToolTipText()}
    out["colours"] = [grid.GetCellTextColour(i, last).GetAsString() for i in range(grid.NumberRows)]
    out["sites"] = [sites.GetColLabelValue(i) for i in range(sites.NumberCols)]
    out["untold"] = [
        name
        for name, widget in page.wids.items()
        if not isinstance(widget, larix.wx.StaticText) and not widget.GetToolTipText()
    ]
    return out


def wrong_absorber(larix, path):
    """An absorber that the edge energy speaks against."""
    names = larix.read_athena(path)
    larix.check(names)
    page = cn_tab(larix)
    larix.select(names[0])
    larix.choose(page.wids["absorber"], "Fe")
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    colour = page.wids["status"].ForegroundColour.GetAsString()
    return {"one": texts(page), "colour": colour, "row": cells(page.wids["table"])[0]}


def beside_others(larix, path, folder):
    """What the tab shares with those of Larix: plot and set many groups, keep settings, fail to export."""
    from larch_cnpredict.larix import panel

    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    larix.click(page.wids["plot_sel"])
    axes = larix.controller.get_display(win=1).panel.axes
    out = {"lines": [line.get_label() for line in axes.lines if len(line.get_xdata()) > 2], "unit": axes.get_ylabel()}
    out["bars"] = len(axes.child_axes)
    larix.choose(page.wids["absorber"], "Cu")
    larix.click(page.wids["copy_absorber"])
    larix.click(page.wids["predict_sel"])  # or what is exported had to be asked about first
    finished(larix, page)
    out["absorbers"] = [options_of(larix, name)["absorber"] for name in names]
    save_settings(larix, page)
    larix.choose(page.wids["conf_choice"], "default")
    out["default"] = settings(page)
    larix.choose(page.wids["conf_choice"], "mine")
    out["mine"] = settings(page)
    out["popups"] = []
    for where in (Path(folder) / "not there", Path("/sys/kernel")):  # nobody may write there, not even root
        for button in ("export", "export_series"):
            with larix.answering(where / "cn.csv", larix.wx.ID_OK, seen=(asked := [])):
                larix.click(page.wids[button])
            out["popups"].append([str(where / "cn.csv"), asked[-1], said(larix)])
    kept, panel.CONFIG_FILE = panel.CONFIG_FILE, Path("/sys/kernel/mine.conf")
    save_settings(larix, page)
    panel.CONFIG_FILE, out["not kept"] = kept, said(larix)
    toolbar = larix.frame.subframes["cn_series"].canvas.toolbar
    with larix.answering(where / "cn.png", larix.wx.ID_OK, seen=(asked := [])):
        toolbar.save_figure()
    return out | {"picture": asked[-1]}


def settings(page):
    return [page.wids["model"].StringSelection, page.wids["transform"].StringSelection, page.wids["auto_plot"].Value]


def dark(larix, path, folder):
    """The tab and its plot in dark colours: how much each text stands out from what is behind it."""
    from matplotlib.colors import to_rgb

    names = larix.read_athena(path)
    page = cn_tab(larix)
    larix.controller.get_display(win=1).panel.conf.set_theme("dark")
    larix.check(names)
    larix.click(page.wids["predict_sel"])
    finished(larix, page)
    larix.select(names[0])
    larix.click(page.wids["plot_one"])
    plot = larix.controller.get_display(win=1)
    corner = plot.panel.axes.child_axes[0]
    ink = [*corner.get_xticklabels(), corner.xaxis.label, corner.yaxis.label, corner.title, *plot.panel.axes.texts]
    behind = sum(to_rgb(plot.panel.conf.facecolor))
    for width, height in SIZES:
        resize(larix, plot, width, height)
        larix.screenshot(os.path.join(folder, f"dark_{width}x{height}.png"), larix.frame, plot)

    def brightness(colour):
        return sum(colour.Get(includeAlpha=False)) / 255

    shown = [page.wids[name] for name in ("answer", "numbers", "status")]
    grid = page.wids["table"]
    return {
        "plot": [abs(sum(to_rgb(item.get_color())) - behind) for item in ink],
        "tab": [abs(brightness(w.ForegroundColour) - brightness(page.BackgroundColour)) for w in shown],
        "table": [
            abs(brightness(grid.GetCellTextColour(i, 0)) - brightness(grid.GetCellBackgroundColour(i, 0)))
            for i in range(grid.NumberRows)
        ],
        "is dark": brightness(page.BackgroundColour),
    }


def closed_in_the_middle(larix, path, groups):
    """Larix itself is closed while a batch runs, and a comparison is shown."""
    names = copied(larix, path, groups)
    page = cn_tab(larix)
    larix.check(names[:2])
    larix.click(page.wids["compare"])
    finished(larix, page)
    window = larix.frame.subframes["cn_compare"]
    assert window.IsShown()
    larix.check(names)
    larix.click(page.wids["predict_sel"], settle=False)
    larix.wait(lambda: page.batch.done > 0)
    larix.frame.onClose(prompt=False)
    return lambda: {"alive": bool(page), "window": bool(window)}  # when its main loop has ended


def taken_back(larix, path):
    """Answers after something else is asked on the tab, after a failure, and of a group that is removed."""
    from larch.wxlib import get_color

    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    wids, plot, windows = page.wids, larix.controller.get_display(win=1).panel, larix.frame.subframes
    larix.select(names[0])

    def seen():
        larix.settle()
        red = [wids["table"].GetCellTextColour(i, 0) == get_color("title_red") for i in range(3)]
        return texts(page) | {"rows": [row[2] for row in cells(wids["table"])], "red": red}

    out = {"fresh": seen(), "bars": [len(plot.axes.child_axes)]}
    larix.choose(wids["absorber"], "Ni")
    out["Absorber"] = seen()
    larix.choose(wids["absorber"], "<Auto>")
    larix.choose(wids["one_site"], "One")
    out["Sites"] = seen()
    larix.choose(wids["one_site"], "<Auto>")
    for field, name, text in (("Formula", "formula", "CuO"), ("s02", "s02", "0,85")):
        wids[name].SetValue(text)
        out[field] = seen()
        wids[name].SetValue("")
    out["typed back"] = seen()
    wids["s02"].SetValue("0.85")
    larix.click(wids["copy_s02"])
    out["copied"] = seen()
    wids["s02"].SetValue("")
    larix.click(wids["copy_s02"])
    larix.select(names[1])
    larix.larch.eval(f"predict_cn({larix.group(names[1]).groupname}, formula='Cu')")
    larix.settle()
    out["by a command"] = [wids["formula"].Value, texts(page)["answer"]]

    larix.select(names[0])
    out["refused"] = []
    for text in (larix.group(names[1]).groupname, "7"):
        wids["s02"].SetValue(text)
        larix.click(wids["predict_one"])
        finished(larix, page)
        out["refused"].append(texts(page)["status"])
    out["bars"].append(len(plot.axes.child_axes))
    out["failed"], out["said"] = seen(), [said(larix)]
    larix.click(wids["series"])
    finished(larix, page)
    out["series"] = [group.filename for group in windows["cn_series"].canvas.figure.cn_series.groups]
    out["said"].append(said(larix))
    larix.check(names[:2])
    larix.click(wids["compare"])
    finished(larix, page)
    out["said"].append(said(larix))
    out["compared"] = "cn_compare" in windows

    larix.check([])
    out["nothing"] = []
    for button in ("copy_absorber", "copy", "export", "predict_sel"):
        larix.click(wids[button])
        out["nothing"].append(said(larix))

    larix.select(names[2])
    out["before removal"] = texts(page)["answer"]
    larix.controller.filelist.SetStringSelection(names[2])
    with larix.answering(larix.wx.ID_YES):
        larix.frame.onRemoveGroup()
    larix.settle()
    out["removed"] = texts(page)
    for button in ("predict_one", "plot_one", "first_shell", "foil_s02", "report"):
        larix.click(wids[button])
        out["nothing"].append(said(larix))
    return out | {"names": names, "against": wids["series_x"].Items, "buffer": larix.buffer()}


def next_step(larix, path):
    """From the answer to Larix's own fit of the first shell."""
    name = next(name for name in larix.read_athena(path) if name.startswith("CuO"))
    tab = cn_tab(larix)
    larix.select(name)
    tab.wids["formula"].SetValue("CuO")
    larix.click(tab.wids["first_shell"])
    finished(larix, tab)
    page, message = larix.frame.nb.GetCurrentPage(), said(larix)
    group, table = larix.group(name), larix.larch.symtable
    params, (title,) = table._feffit_params, page.paths_data
    out = {
        "message": message,
        "page": type(page).__name__,
        "title": title,
        "amplitude": page.get_pathpage(title).get_expressions()["amp"],
        "start": params.N_O.value,
        "mean": group.cn_predict.cn_mean,
        "formula": group.cn_predict.request["formula"],
        "bounds": [params.N_O.min, params.N_O.max],
        "file": Path(page.paths_data[title]).exists(),
    }
    page.onFitModel()
    larix.settle()
    result = group.feffit_history[0]
    fitted = {key: par.value for key, par in result.params.items()}
    (one,) = result.datasets[0].paths.values()
    out |= {"fitted": {k: fitted[k] for k in ("s02", "N_O", "e0")}, "distance": one.reff + fitted["delr_O"]}
    transform = result.datasets[0].transform
    out |= {name: getattr(transform, name) for name in ("kmin", "kmax", "window", "rmax")} | {"rfactor": result.rfactor}
    larix.larch.eval("_feffit_params.s02.value = 0.7")
    larix.larch.eval("_feffit_params.N_O.max = 7")
    larix.larch.eval("_feffit_params.mine = param(3, name='mine', vary=False)")
    larix.menu("CN", "Fit First Shell")
    finished(larix, tab)
    out["again"] = shell(larix, page)
    return out


def shell(larix, page):
    """Paths, parameters and ranges of the FEFF Fitting tab, and those that Larix would fit with."""
    params = larix.larch.symtable._feffit_params
    shown = {name: [par.value, par.min, par.max, par.vary] for name, par in params._params.items()}
    ranges = {name: page.wids[f"fit_{name}"].GetValue() for name in ("kmin", "kmax", "rmin", "rmax")}
    return {"titles": list(page.paths_data), "params": shown, "ranges": ranges}


def next_shells(larix, path, folder):
    """The first shell of one group, which is fitted, then of another; back to the first; with a path of the user's."""
    import shutil

    from larch.xafs import feffpath

    names = larix.read_athena(path)
    tab, out = cn_tab(larix), {"names": names, "fitted": [], "shells": [], "said": [], "means": []}
    for turn in (0, 1, 0):
        cn_tab(larix)
        larix.select(names[turn])
        larix.click(tab.wids["first_shell"])
        finished(larix, tab)
        page = larix.frame.nb.GetCurrentPage()
        group = larix.group(names[turn])
        out["shells"].append(shell(larix, page))
        out["said"].append(said(larix))
        out["means"].append(group.cn_predict.cn_mean)
        page.onFitModel()
        larix.settle()
        result = group.feffit_history[0]
        paths = {title: one.use for title, one in result.datasets[0].paths.items()}
        varied = [name for name, par in result.params.items() if par.vary]
        out["fitted"].append([paths, varied, float(result.rfactor)])
        if turn == 0:
            page.params_panel.parwids["s02"].value.SetValue(0.7)
    (file,) = page.paths_data.values()
    own = shutil.copy(file, f"{folder}/feff0001.dat")
    page.add_path(own, feffpath=feffpath(own, s02="mine", e0="e0", deltar="0", sigma2="0.003", third="0", ei="0"))
    out["own"] = list(page.paths_data)[1]
    larix.larch.eval("_feffit_params.mine = param(0.1, name='mine', vary=False)")
    page.wids["fit_rmax"].SetValue(3.5)
    cn_tab(larix)
    larix.click(tab.wids["first_shell"])
    finished(larix, tab)
    return out | {"beside it": shell(larix, page)}


def figures(larix, path, folder):
    """Series, comparison and report: windows of figures, a click on a point, files and clipboard."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    out = {"names": names, "too few": []}
    for button in ("series", "compare", "export_series", "report"):
        larix.click(page.wids[button])
        out["too few"].append(said(larix))
    larix.check(names)
    for kelvin, name in zip((300, 20, 100), names, strict=True):
        larix.larch.eval(f"{larix.group(name).groupname}.temperature = '{kelvin} K'")
    larix.settle()
    out["against"] = page.wids["series_x"].Items
    larix.choose(page.wids["series_x"], "temperature")
    larix.click(page.wids["series"])
    finished(larix, page)  # what has no answer is asked about first
    window = larix.frame.subframes["cn_series"]
    figure, series = window.canvas.figure, window.canvas.figure.cn_series
    out |= {"x": list(series.x), "label": figure.axes[0].get_xlabel(), "series": [g.filename for g in series.groups]}
    window.Raise()
    larix.settle()
    x, y = figure.axes[0].transData.transform((20, series.answers[1].cn_mean))
    scale = window.canvas.device_pixel_ratio
    out["current"] = [larix.controller.get_group().filename]
    point = round(x / scale), round(window.canvas.Size.height - y / scale)
    for button in (3, 4):  # the right one, and a turn of the wheel
        press_x11(larix, window.canvas, point, button)
        out["current"].append(larix.controller.get_group().filename)
    raised, usual = [], window.Raise
    window.Raise = lambda: (raised.append(larix.controller.get_group().filename), usual())
    larix.press(window.canvas, *point)
    out["current"].append(larix.controller.get_group().filename)
    out["raised"] = raised[-1:]
    window.Raise()
    larix.screenshot(os.path.join(folder, "series.png"), window)
    table = Path(folder) / "series.csv"
    with larix.answering(table):
        larix.click(page.wids["export_series"])
    out["csv"] = table.read_text(encoding="utf-8")
    larix.menu("CN", "Plot Series")
    out["windows"] = len(
        [w for w in larix.wx.GetTopLevelWindows() if type(w).__name__ == "FigureFrameWx" and w.IsShown()]
    )
    larix.frame.subframes["cn_series"].Close()
    larix.settle()
    larix.menu("CN", "Plot Series")  # also where its window was closed

    larix.check(names[:2])
    larix.menu("CN", "Compare Two")
    window = larix.frame.subframes["cn_compare"]
    out["compared"] = [text.get_text() for text in window.canvas.figure.axes[0].get_legend().texts]
    larix.screenshot(os.path.join(folder, "compare.png"), window)
    larix.menu("CN", "Copy Report")
    out |= {"report": pasted(larix), "buffer": larix.buffer()}
    larix.close_tab("cnpredict")
    window.Raise()
    larix.press(larix.frame.subframes["cn_series"].canvas)  # a click where no tab is left to hear of it
    return out


def press_x11(larix, window, point, button):
    """A button of the mouse for which wx has no gesture."""
    larix.wx.UIActionSimulator().MouseMove(window.ClientToScreen(point))
    larix.settle()
    larix.fake_buttons(button)
    larix.elapse(100)


def pasted(larix):
    clip = larix.wx.TextDataObject()
    larix.wx.TheClipboard.Open()
    larix.wx.TheClipboard.GetData(clip)
    larix.wx.TheClipboard.Close()
    return clip.Text


def kinds(larix, path, folder):
    """Answers for samples that no one number describes, on the tab, in the table, in the plot and in the file."""
    from dataclasses import replace

    from larch_cnpredict.result import KINDS, Prediction, write

    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    for name, kind in zip(names, KINDS, strict=True):
        group = larix.group(name)
        larix.larch.eval(f"explain({group.groupname})")
        made, kept = Prediction.from_group(group.cn_predict), group.cn_predict
        write(group, replace(made, kind=kind, mixture=0.97, cn_mean=10.44, cn_mean_interval=[9.76, 11.03]))
        for array in ("importance_r", "importance", "nearest"):
            setattr(group.cn_predict, array, getattr(kept, array))
    out = {"names": names, "shown": [], "clipped": []}
    larix.frame.SetSize((1050, 850))
    larix.frame.SetPosition((0, 0))
    for name in names:
        larix.select(name)
        page.refresh()
        larix.settle()
        out["shown"].append(texts(page))
        out["clipped"].append(clipped(larix, page))
    larix.click(page.wids["plot_one"])
    larix.screenshot(os.path.join(folder, "kind.png"), larix.frame, larix.controller.get_display(win=1))
    out |= {"rows": cells(page.wids["table"]), "columns": columns(page.wids["table"])}
    axes = larix.controller.get_display(win=1).panel.axes
    out["drawn"] = [line.get_label() for line in axes.lines] + [text.get_text() for text in axes.texts]
    larix.click(page.wids["plot_sel"])
    axes = larix.controller.get_display(win=1).panel.axes
    out["lines"] = [line.get_label() for line in axes.lines if len(line.get_xdata()) > 2]
    table = Path(folder) / "cn.csv"
    with larix.answering(table):
        larix.click(page.wids["export"])
    return out | {"csv": table.read_text(encoding="utf-8")}


def columns(grid):
    return [grid.GetColLabelValue(i) for i in range(grid.NumberCols)]


def everything(larix, path, folder):
    """Every button, every entry of the menu, every item of every choice, each setting in Preferences; two headings."""
    import wx.grid

    names = larix.read_athena(path)
    larix.check(names[:2])
    page = cn_tab(larix)
    pressed, dead = [], []

    def to_be_seen():
        windows = [key for key, window in larix.frame.subframes.items() if window and window.IsShown()]
        return larix.buffer(), said(larix), larix.frame.nb.GetSelection(), windows

    def press(name, gesture):
        larix.frame.write_message(" ")
        before = to_be_seen()
        with larix.answering(Path(folder) / f"{len(pressed)}.csv") if "xport" in name else contextlib.nullcontext():
            gesture()
            finished(larix, page)
        pressed.append(name)
        if to_be_seen() == before:
            dead.append(name)

    larix.click(page.wids["predict_sel"], settle=False)
    press("cancel", lambda: larix.click(page.wids["cancel"]))
    for name, widget in page.wids.items():
        if isinstance(widget, larix.wx.Button) and name != "cancel":
            press(name, lambda widget=widget: larix.click(widget))
    for name, widget in page.wids.items():
        if isinstance(widget, larix.wx.Choice):
            for item in widget.Items:
                press(f"{name}: {item}", lambda widget=widget, item=item: larix.choose(widget, item))
            larix.choose(widget, widget.Items[0])
    bar = larix.frame.menubar
    for item in bar.GetMenu(bar.FindMenu("CN")).MenuItems:
        larix.tab("xasnorm")
        if not item.IsSeparator():
            press(item.ItemLabelText, lambda item=item: larix.menu("CN", item.ItemLabelText))
    out = {"files": sorted(file.stat().st_size for file in Path(folder).glob("*.csv"))}
    grid = page.wids["table"]
    larix.select(names[2])
    grid.ProcessEvent(wx.grid.GridEvent(grid.Id, wx.grid.EVT_GRID_CELL_LEFT_DCLICK.typeId, grid, 1, 0))
    larix.settle()
    out["double-click"] = larix.controller.get_group().filename == grid.GetCellValue(1, 0)
    plots_before = larix.buffer().count("plot_chir(")
    page.wids["plot_on_choose"].SetValue(False)
    larix.select(names[0])
    out["auto-plot off"] = larix.buffer().count("plot_chir(") == plots_before
    return out | {"pressed": pressed, "dead": dead, "rows": cells(grid), "buffer": larix.buffer()}


def odd_names(larix, path):
    """Names of other scripts, long ones, and ones that look like a command or a formula."""
    first, *_ = larix.read_athena(path)
    larix.tab("exafs")
    larix.select(first)
    wanted = ["硫化铁 – pH 7.5 ΔE=2 eV", "x" * 300, "=1+1", 'a, b\'; "c"\\n {d}', "CuO 100 % <b>&copy</b>"]
    for name in wanted:
        copy = larix.controller.copy_group(first, new_filename=name)
        larix.controller.install_group(copy.groupname, copy.filename)
    names = [name for name in larix.controller.filelist.GetItems() if name in wanted]
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    out = {"wanted": wanted, "rows": cells(page.wids["table"]), "reports": []}
    for name in names:
        larix.select(name)
        larix.click(page.wids["plot_one"])
        larix.click(page.wids["report"])
        out["reports"].append([name, texts(page)["answer"], pasted(larix)])
    for button in ("plot_sel", "series"):
        larix.click(page.wids[button])
    larix.check(names[:2])
    larix.click(page.wids["compare"])
    windows = larix.frame.subframes
    out["legend"] = [text.get_text() for text in windows["cn_compare"].canvas.figure.axes[0].get_legend().texts]
    return out | {"windows": [key for key in windows if key.startswith("cn_")], "buffer": larix.buffer()}


def meddling(larix, path, groups):
    """Groups that are frozen, processed anew, or of another edge, while others are asked about."""
    names = copied(larix, path, groups)
    strange, frozen, again = names[5], names[-1], names[-2]
    larix.group(strange).e0 += 11103.0 - 8979.0
    larix.group(strange).energy = larix.group(strange).energy + 11103.0 - 8979.0
    page = cn_tab(larix)
    larix.click(page.wids["predict_sel"], settle=False)
    larix.wait(lambda: page.batch.done > 0)
    larix.group(frozen).is_frozen = True
    larix.larch.eval(f"autobk({larix.group(again).groupname}, rbkg=1.3, kweight=2)")
    larix.larch.eval(f"xftf({larix.group(again).groupname}, kmin=3, kmax=11, dk=1, window='hanning')")
    assert page.batch
    finished(larix, page)
    rows = {row[0]: row for row in cells(page.wids["table"])}
    out = {"message": said(larix), "rbkg": larix.group(again).rbkg}
    return out | {"strange": rows[strange], "frozen": rows[frozen], "again": rows[again], "rows": list(rows.values())}


def stale_everywhere(larix, path):
    """e0, rbkg and kmax changed on Larix's own tabs after an answer: on the tab, in the table and in the plot."""
    names = larix.read_athena(path)
    larix.check(names)
    page = predict(larix, "Predict CN for Selected")
    name = names[-1]
    plot = larix.controller.get_display(win=1).panel
    out = {}
    for what, value in (("ek0", larix.group(name).e0 + 8), ("rbkg", 1.5), ("fft_kmax", 9)):
        larix.select(name)
        larix.click(page.wids["predict_one"])
        finished(larix, page)
        shown = [texts(page)["answer"], len(plot.axes.child_axes)]
        exafs = larix.tab("exafs")
        exafs.last_process_time = 0  # it takes no notice of what comes half a second after it
        exafs.wids[what].SetValue(value)
        exafs.onProcess()
        cn_tab(larix)
        larix.click(page.wids["plot_one"])
        out[what] = {"before": shown, "after": [texts(page)["answer"], len(plot.axes.child_axes)]}
        out[what] |= {"status": texts(page)["status"], "row": cells(page.wids["table"])[-1]}
    return out


def mu_changed(larix, path):
    """mu(E) smoothed, deglitched and rebinned in Larix's own windows after an answer: seen, and asked anew."""
    names = larix.read_athena(path)
    larix.check(names)
    page, out = predict(larix, "Predict CN for Selected"), {}
    for name, entry, key in zip(names, ("Smooth", "Deglitch", "Rebin"), ("smooth", "deglitch", "rebin"), strict=True):
        larix.select(name)
        group, fresh = larix.group(name), texts(page)["answer"]
        mu, chi, rbkg = group.mu, group.chi, group.rbkg
        larix.menu("XAS Data", entry)
        window = larix.frame.subframes[key]
        if key == "smooth":
            window.smooth_op.SetSelection(1)
            window.on_smooth()
        elif key == "deglitch":
            window.plot_results = lambda **kws: None  # Larix' own stumbles over the mask, which a click on it makes
            window.xmasks.append(window.xmasks[-1] & (abs(group.energy - group.e0 - 300) > 2))
        window.on_apply()
        window.Destroy()
        larix.settle()
        changed = len(mu) != len(group.mu) or bool((mu != group.mu).any())
        out[key] = {"changed": changed, "kept": group.chi is chi, "fresh": fresh, "stale": texts(page)}
        out[key]["row"] = cells(page.wids["table"])[names.index(name)]
        larix.click(page.wids["predict_one"])
        finished(larix, page)
        out[key] |= {"again": texts(page), "anew": group.chi is not chi, "rbkg": [rbkg, group.rbkg]}
    frozen = larix.group(names[-1])
    frozen.is_frozen, chi = True, frozen.chi
    larix.larch.eval(f"{frozen.groupname}.mu = 1.1*{frozen.groupname}.mu + 0.01*sin({frozen.groupname}.energy)")
    larix.settle()
    out["frozen"] = [texts(page)["answer"]]
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    out["frozen"] += [texts(page)["answer"], frozen.chi is chi]
    return out


def formulas(larix, path, xdi, session):
    """Formulas typed for groups, wrong ones too, copied, taken from the header of a file, kept in a session."""
    names = larix.read_athena(path)
    page = cn_tab(larix)
    field = page.wids["formula"]

    def ask(name, text):
        larix.select(name)
        field.SetFocus()
        field.SelectAll()
        larix.settle()
        larix.key(larix.wx.WXK_DELETE)
        larix.wx.UIActionSimulator().Text(text.encode())
        larix.key(larix.wx.WXK_RETURN)
        finished(larix, page)
        return texts(page)

    out = {"said": [ask(name, text) for name, text in zip((names[0], names[0], *names), CASES, strict=True)]}
    out["kept"] = []
    for name in names:
        larix.select(name)
        out["kept"].append(field.Value)
    larix.check(names[1:])
    field.SetValue("Ni Cu")
    larix.click(page.wids["copy_formula"])
    out["copied"] = [options_of(larix, name)["formula"] for name in names]

    larix.frame.onRead(xdi)
    larix.settle()
    larix.frame.subframes["readfile"].onOK()
    larix.settle()
    cn_tab(larix)  # Larix shows what it reads on another one
    (with_header,) = [name for name in larix.controller.filelist.GetItems() if name not in names]
    larix.select(with_header)
    out["header"] = field.Value
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    out["by header"] = texts(page)["details"]
    out["without"] = ask(with_header, "")["details"]
    with larix.answering(session):
        larix.menu("File", "Save Larch Session As")
    return out | {"buffer": larix.buffer(), "names": names, "with header": with_header}


def foil_s02(larix, path, foil, oxide):
    """s02 of a foil, taken, copied, asked with; then of a group that is no foil, and one that is no number."""
    names = larix.read_athena(path)
    page, out = cn_tab(larix), {}
    field = page.wids["s02"]

    larix.select(foil)
    larix.click(page.wids["foil_s02"])
    out["taken"] = [field.Value, said(larix)]
    larix.check(names)
    larix.click(page.wids["copy_s02"])
    out["copied"] = [said(larix), *(options_of(larix, name)["s02"] for name in names)]
    larix.click(page.wids["predict_sel"])
    finished(larix, page)
    out["asked"] = [larix.group(name).cn_predict.request["reference"] for name in names]
    out["details"] = texts(page)["details"]
    larix.select(oxide)
    larix.click(page.wids["foil_s02"])
    out["no foil"] = [field.Value, said(larix)]
    return out | {"buffer": larix.buffer()}


CASES = ("CuO", "Cu, O", "Na2CrO4", "CuS", "rust")


def formulas_kept(larix, path):
    """What stands at Formula for each group of a session."""
    names = reopen(larix, path)["names"]
    page, out = cn_tab(larix), {}
    for name in names:
        larix.select(name)
        out[name] = page.wids["formula"].Value
    return out


def structures(larix, path):
    """From two of the nearest known sites to their structure: one that Larix has, one that it has not."""
    import shutil

    import larixite

    (name,) = larix.read_athena(path)
    ours = Path.home() / ".larch" / "amcsd_cif2.db"  # what Larix would download first; the same structures, fewer
    ours.parent.mkdir(exist_ok=True)
    shutil.copy(Path(larixite.__file__).with_name("amcsd_cif1.db"), ours)
    page = cn_tab(larix)
    larix.select(name)
    larix.click(page.wids["structure"])
    out = {"too early": said(larix)}
    larix.click(page.wids["predict_one"])
    finished(larix, page)
    sites = page.wids["sites"]
    out["sites"] = cells(sites)
    rows = [row[1] for row in out["sites"]]
    strange = next(i for i, formula in enumerate(rows) if formula not in ("Cu", "Cu3Au"))  # minerals that Larix has
    sites.SetGridCursor(strange, 0)
    larix.click(page.wids["structure"])
    out |= {"strange": out["sites"][strange], "copied": pasted(larix), "said": said(larix)}
    from larch_cnpredict.larix.next_step import browse_structure

    browse_structure(page, {"formula": "Cu C6 N6", "site": "complex Cu 30 site 0"}, "Cu")
    out["complex"] = [pasted(larix), said(larix)]
    out["opened"] = "cif_feff" in larix.frame.subframes
    box = sites.CellToRect(rows.index("Cu"), 1)
    robot, point = larix.wx.UIActionSimulator(), sites.CalcScrolledPosition(box.x + 20, box.y + box.height // 2)
    larix.frame.Raise()
    robot.MouseMove(sites.GridWindow.ClientToScreen(point))
    larix.real(larix.wx.EVT_LEFT_DCLICK, robot.MouseDblClick)
    browser = larix.frame.subframes["cif_feff"]
    out |= {"shown": browser.ciflist.GetStringSelection(), "cif": browser.wids["cif_text"].Value}
    out |= {"feff": browser.wids["feff_text"].Value, "message": said(larix)}
    browser.Close()
    larix.settle()
    larix.menu("CN", "Find Structure")  # also where its window was closed
    return out | {"again": larix.frame.subframes["cif_feff"].IsShown()}


def closed_aside(larix, path, groups, tab, late):
    """Larix is closed, with its tab or after it, while components of a series are looked for: they come late or now."""
    import threading

    from larch_cnpredict.larix import aside

    copied(larix, path, groups)
    page, closed, threads, usual = cn_tab(larix), threading.Event(), [], aside.found
    larix.click(page.wids["predict_sel"])
    finished(larix, page)

    def found(*asked):
        threads.append(threading.current_thread())
        closed.wait()
        return usual(*asked)

    aside.found = found
    larix.click(page.wids["series"], settle=False)
    larix.wait(lambda: threads)
    if tab:
        larix.close_tab("cnpredict")
    larix.frame.onClose(prompt=False)

    def found_now():
        closed.set()
        threads[0].join()

    def afterwards():
        found_now()
        return {"alive": bool(page), "keep it from ending": [t.name for t in threading.enumerate() if not t.daemon]}

    if not late:
        found_now()
    return afterwards


class Gaps:
    """How long Larix heard nothing: the longest time between two ticks of a timer, s."""

    def __init__(self, larix):
        self.last, self.longest = time.perf_counter(), 0.0
        self.timer = larix.wx.Timer()
        self.timer.Bind(larix.wx.EVT_TIMER, self.tick)
        self.timer.Start(5)

    def tick(self, event=None):
        now = time.perf_counter()
        self.last, self.longest = now, max(self.longest, now - self.last)

    def stop(self):
        self.tick()
        self.timer.Stop()
        return self.longest


def click_to_answer(larix, path, times):
    """From the click to the answer and to its plot, of a group that has its chi(R): the first time, and again."""
    name = copied(larix, path, 1)[0]
    page, out = cn_tab(larix), []
    larix.select(name)
    plot = larix.controller.get_display(win=1).panel
    for _ in range(times):
        larix.larch.eval(f"xftf({larix.group(name).groupname}, kmin=3, kmax=12, dk=1, window='hanning')")
        larix.settle()
        start = time.perf_counter()
        larix.click(page.wids["predict_one"], settle=False)
        larix.wait(lambda: page.wids["answer"].Label != "CN –")
        answered = time.perf_counter() - start
        larix.wait(lambda: page.batch is None and plot.axes.child_axes)
        larix.settle()
        out.append([answered, time.perf_counter() - start])
        group = larix.group(name)
        vars(group).pop("cn_predict")
        page.onPlotOne()
        page.refresh()
        larix.settle()
    return out


def series_of_many(larix, path, groups):
    """From the click on Plot Series, of groups without an answer, to the plot; how long nothing was heard."""
    copied(larix, path, groups)
    page = cn_tab(larix)
    gaps, start = Gaps(larix), time.perf_counter()
    larix.click(page.wids["series"], settle=False)
    larix.wait(lambda: page.batch is None and larix.frame.subframes.get("cn_series"))
    larix.settle()
    return [time.perf_counter() - start, gaps.stop()]


def series_aside(larix, path, groups):
    """What takes long for a series is done while Larix goes on: a group changes meanwhile, the tab is closed."""
    import threading
    from dataclasses import replace

    from larch_cnpredict.larix import aside

    names, page, usual = copied(larix, path, groups), cn_tab(larix), aside.found
    larix.click(page.wids["predict_sel"])
    finished(larix, page)
    heard, windows, out = threading.Event(), larix.frame.subframes, {}

    def found(*asked):
        larix.wx.CallAfter(meanwhile)
        heard.wait()  # for ever, were this Larix's own thread
        series, remark = usual(*asked)
        return replace(series, label="found before"), remark

    def nothing():
        heard.set()

    def change():
        larix.group(names[0]).temperature = 300.0
        heard.set()

    aside.found = found
    for meanwhile in (nothing, change):
        larix.click(page.wids["series"])
        larix.wait(lambda: windows.get("cn_series"))
        figure = windows["cn_series"].canvas.figure
        out[meanwhile.__name__] = [figure.axes[0].get_xlabel(), len(figure.cn_series.groups), figure.get_supxlabel()]
        windows.pop("cn_series").Close()
        heard.clear()
    meanwhile = list  # nothing is heard of before the tab is gone
    larix.click(page.wids["series"])
    larix.close_tab("cnpredict")
    heard.set()
    larix.elapse(1000)
    aside.found = usual
    commands = [line for line in larix.buffer().splitlines() if line.startswith("plot_cn_series(")]
    return out | {"after its tab": windows.get("cn_series"), "commands": len(commands)}
