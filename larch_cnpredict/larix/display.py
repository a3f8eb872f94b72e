"""The controls of the CN tab: where they stand, what their tooltips say, how keys move between them."""

import wx
import wx.grid
from larch.wxlib import LEFT, Button, Check, Choice, HLine, SimpleText, get_color, get_font, pack

from ..features import ELEMENTS
from .answers import NOT_YET
from .host import NO_GROUP, guarded, show_all_tabs
from .next_step import measure_foil
from .table import AUTO, COLUMNS, HINT, ONE, SCAN_NUMBER, SITES, TITLES, TRANSFORMS, answer_texts, site_row

COLOURS = {"ok": "title_green", "several": "title_blue", "undecided": "title_blue", "outside": "title_red"}
COLOURS |= {NOT_YET: "text", NO_GROUP: "text"}  # what else is a problem is as red

SAMPLE = "CN 16"  # what the place of the answer always has room for
TABLE_LOW, SITES_LOW, SITES_HIGH = 90, 66, 130  # px
USUAL = 79  # px that ten digits take at the text size for which widths are written here
TIPS = {
    "predict_one": "Predict the coordination number of the current group (Enter)",
    "predict_sel": "Predict the coordination numbers of all groups that are checked in the list at the left",
    "cancel": "Ask no more; what has been answered stays",
    "progress": "Groups that are done, of those asked for",
    "plot_one": "Plot |chi(R)| of the current group, what of it carried the answer, and how probable each number is",
    "plot_sel": "Plot |chi(R)| of all checked groups, each with its number",
    "series": "Plot the mean coordination number of all checked groups, with its interval, in a window of its own.\n"
    "A click on a point makes its group the current one",
    "series_x": "What the series is drawn against: the number in the names, or what is known of each checked group",
    "compare": "Two checked groups over each other: |chi(R)|, what carried each answer, how probable each number is",
    "first_shell": "Add the current group's first shell to the FEFF Fitting tab, starting from the predicted number",
    "plot_on_choose": "Plot a group as soon as it is chosen or predicted",
    "absorber": "The absorber of this group, where the one that was found is wrong",
    "formula": "What the sample of this group is made of, such as Na2CrO4, or only its elements: Na Cr O.\n"
    "The answer is then by spectrum and composition together; it says what the spectrum alone gives.\n"
    "Where the header of the file names it, that is used; empty the field to do without",
    "one_site": "One: all absorbing atoms are known to have the same surroundings, as in a foil, or a pure compound\n"
    "with one site. p is then not lowered for the mixtures that would look alike",
    "s02": "The amplitude of a foil that was measured like this group: the mean, its interval and the kind of sample\n"
    "are then by s02 too. Empty: s02 is not known",
    "foil_s02": "The current group is a metal foil: fit its first shell with feffit, and keep s02 (some seconds)",
    "model": "The model to ask: the default, or one family of models by its name",
    "transform": "The chi(R) that the models read: <Auto> takes the group's own where it was made as for training,\n"
    "else makes a new one from chi(k).  The group's own arrays are never changed.",
    "conf_choice": "Use Saved Configuration",
    "conf_save": "Save model, transform and Auto-Plot for later use",
    "details": "What was done to the spectrum, and what to know before the number is used",
    "sites": "Known sites with spectra that are the least unlike this one. Dissimilarity has no unit: it is no length",
    "structure": "Find the formula of the chosen line in Larix's CIF browser, ready to run FEFF for the absorber.\n"
    "Where there is none, its number in the Materials Project is copied",
    "table": "Click a heading to sort, double-click a line to make it the current group",
    "copy": "Copy the table, to be pasted into a spreadsheet",
    "export": "Save the table with all numbers and notes",
    "export_series": "Plot the series of all checked groups, and save it with all numbers and what it is drawn against",
    "report": "Copy a paragraph on the current group's answer, for a paper's supplement: data, transform, models,\n"
    "number and interval, what to cite",
} | {f"copy_{name}": f"Set this {name} for all checked groups" for name in TITLES}


def build(tab, config, models) -> None:
    """Put all controls onto the tab, in the order in which the Tab key goes through them."""
    panel, wids = tab.panel, tab.wids

    def scaled(width):
        return round(width * tab.GetTextExtent("0123456789").width / USUAL)

    def roomy(name, widget, width):
        wids[name] = widget
        widget.SetMinSize((max(scaled(width), widget.BestSize.width), -1))

    def button(name, label, width, action):
        roomy(name, Button(panel, label, action=guarded(tab.parent, action)), width)

    def entry(name, width, action):
        wids[name] = wx.TextCtrl(panel, size=(scaled(width), wids["predict_one"].BestSize.height))
        wids[name].Bind(wx.EVT_TEXT, action)

    def copy(name):
        button(f"copy_{name}", "Copy", 50, lambda event: tab.onCopyOption(name))

    def choice(name, choices, width, action):
        roomy(name, Choice(panel, choices=list(choices), action=action), width)
        wids[name].Bind(wx.EVT_MOUSEWHEEL, lambda event: None)  # who scrolls past it does not mean to change it

    def text(name, width, larger, sample=""):
        style = LEFT | wx.ST_NO_AUTORESIZE | (0 if sample else wx.ST_ELLIPSIZE_END)
        wids[name] = SimpleText(panel, " ", font=get_font(larger=larger), style=style)
        wids[name].SetMinSize((max(scaled(width), wids[name].GetTextExtent(sample).width), -1))

    def line(*items):
        sizer = wx.BoxSizer(wx.HORIZONTAL)
        for item in items:
            widget = wids[item] if item in wids else SimpleText(panel, item)
            sizer.Add(widget, 0, wx.ALIGN_CENTER_VERTICAL | wx.RIGHT, 6)
        panel.Add(sizer, newrow=True, dcol=7)

    def heading(words, width):
        return SimpleText(panel, words, size=(scaled(width), -1), **tab.titleopts)

    def ruler():
        panel.Add(HLine(panel, size=(scaled(750), 3)), newrow=True, dcol=7)

    panel.Add(heading(tab.desc, 450), dcol=7)
    button("predict_one", "Predict Current Group", 185, tab.onPredictOne)
    button("predict_sel", "Predict Selected Groups", 185, tab.onPredictSelected)
    button("cancel", "Cancel", 80, tab.onCancel)
    wids["progress"] = wx.Gauge(panel, size=(scaled(100), 18))
    choice("model", models, 110, None)
    wids["model"].SetStringSelection(str(config["model"]))
    line("predict_one", "predict_sel", "cancel", "progress", "Model:", "model")
    button("plot_one", "Plot Current Group", 185, tab.onPlotOne)
    button("plot_sel", "Plot Selected Groups", 185, tab.onPlotSelected)
    label = "Auto-Plot when choosing Current Group?"
    wids["plot_on_choose"] = wids["auto_plot"] = Check(panel, default=bool(config["auto_plot"]), label=label)
    line("plot_one", "plot_sel", "plot_on_choose")
    button("series", "Plot Series of Selected Groups", 185, tab.onSeries)
    choice("series_x", [SCAN_NUMBER], 200, None)
    button("compare", "Compare Two Groups", 185, tab.onCompare)
    button("first_shell", "Fit First Shell", 130, tab.onFirstShell)
    line("series", "against:", "series_x", "compare", "first_shell")
    choice("absorber", (AUTO, *ELEMENTS), 90, tab.onOption)
    copy("absorber")
    entry("formula", 120, tab.onOption)
    copy("formula")
    entry("s02", 60, tab.onOption)
    button("foil_s02", "From Foil", 80, lambda event: measure_foil(tab))
    copy("s02")
    of_group = ("Absorber:", "absorber", "copy_absorber", "Formula:", "formula", "copy_formula")
    line(*of_group, "s02:", "s02", "foil_s02", "copy_s02")
    choice("one_site", (AUTO, ONE), 80, tab.onOption)
    copy("one_site")
    choice("transform", TRANSFORMS, 140, None)
    choice("conf_choice", tab.configs, 110, tab.onConfigSelect)
    button("conf_save", "Save Current Configuration", 185, tab.onConfigSave)
    wids["transform"].SetStringSelection(str(config.get("transform", AUTO)))
    line("Sites:", "one_site", "copy_one_site", "Fourier transform:", "transform", "conf_choice", "conf_save")
    ruler()
    text("answer", 150, 8, sample=SAMPLE)
    text("numbers", 590, 2)
    text("status", 760, 0)
    line("answer", "numbers")
    line("status")
    wids["details"] = wx.TextCtrl(panel, size=(scaled(750), 88), style=wx.TE_MULTILINE | wx.TE_READONLY)
    line("details")
    wids["sites"] = make_grid(panel, SITES, scaled, SITES_HIGH)
    wids["sites"].Bind(wx.grid.EVT_GRID_CELL_LEFT_DCLICK, guarded(tab.parent, tab.onStructure))
    button("structure", "Find Structure", 110, tab.onStructure)
    line("sites", "structure")
    ruler()
    wids["table_title"] = heading("Selected Groups", 200)
    button("copy", "Copy Table", 120, tab.onCopy)
    button("export", "Export to CSV File", 160, tab.onExport)
    button("export_series", "Export Series", 110, tab.onExportSeries)
    button("report", "Copy Report on Current Group", 185, tab.onReport)
    line("table_title", "copy", "export", "export_series", "report")
    panel.pack()
    wids["table"] = make_grid(tab, COLUMNS, scaled, TABLE_LOW)
    wids["table"].Bind(wx.EVT_SIZE, lambda event: widen_last(wids["table"], scaled, event))
    wids["table"].Bind(wx.grid.EVT_GRID_COL_SORT, tab.onSort)
    wids["table"].Bind(wx.grid.EVT_GRID_CELL_LEFT_DCLICK, tab.onShowRow)
    wids["table"].GridWindow.Bind(wx.EVT_MOTION, lambda event: show_cell(wids["table"], event))
    for name, words in TIPS.items():
        wids[name].SetToolTip(words)
    tab.Bind(wx.EVT_CHAR_HOOK, lambda event: on_key(tab, event))
    sizer = wx.BoxSizer(wx.VERTICAL)
    sizer.Add(panel, 0, wx.LEFT, 3)
    sizer.Add(wids["table"], 1, wx.EXPAND | wx.LEFT | wx.BOTTOM, 3)
    pack(tab, sizer)
    tab.Bind(wx.EVT_SIZE, lambda event: share_room(tab, event))
    usual = tab.parent.nb.MinSize
    tab.Bind(wx.EVT_SHOW, lambda event: fit_low_screens(tab, usual, event))
    tab.Bind(wx.EVT_WINDOW_DESTROY, lambda event: fit_low_screens(tab, usual, event))


def share_room(tab, event) -> None:
    """Where the tab is low, the nearest sites show fewer lines, or the table below them would have no room."""
    event.Skip()
    sites = tab.wids["sites"]
    sites.SetMinSize((sites.MinWidth, min(max(event.GetSize().height - beside_sites(tab), SITES_LOW), SITES_HIGH)))
    sites.InvalidateBestSize()
    share_line(tab)


def beside_sites(tab) -> int:
    """Height of all but the nearest sites, where the table is low."""
    tab.wids["sites"].InvalidateBestSize()
    return tab.panel.BestSize.height - tab.wids["sites"].MinHeight + TABLE_LOW + 3


def fit_low_screens(tab, usual, event) -> None:
    """Larix' tabs are 700 high, or have a scroll bar; this one needs less, as long as it is the one that is shown."""
    event.Skip()
    notebook, shown = tab.parent.nb, isinstance(event, wx.ShowEvent) and event.IsShown()
    if notebook and not notebook.IsBeingDeleted() and event.EventObject is tab:
        low = beside_sites(tab) + SITES_LOW + notebook._pages.BestSize.height + 10
        notebook.SetMinSize((usual.width, min(low, usual.height)) if shown else usual)
        wx.CallAfter(show_all_tabs, notebook)


def share_line(tab) -> None:
    """As much of their line for the answer as it needs, all the rest for what stands beside it."""
    answer, numbers = tab.wids["answer"], tab.wids["numbers"]
    width = max(answer.GetTextExtent(f"{words} ").width for words in (answer.Label, SAMPLE))
    answer.SetMinSize((width, -1))
    numbers.SetMinSize((max(tab.ClientSize.width, tab.wids["details"].Size.width) - width - 20, -1))
    tab.panel.InvalidateBestSize()
    tab.Layout()


def make_grid(parent, columns, scaled, height):
    grid = wx.grid.Grid(parent, size=(scaled(sum(columns.values())) + 5, height))
    grid.CreateGrid(0, len(columns))
    grid.EnableEditing(False)
    grid.DisableDragRowSize()
    grid.HideRowLabels()
    grid.SetColLabelSize(24)
    grid.SetLabelFont(get_font())
    grid.SetDefaultCellFont(get_font())
    grid.SetDefaultCellFitMode(wx.grid.GridFitMode.Ellipsize())  # or what is cut off looks like a shorter set
    for i, (label, width) in enumerate(columns.items()):
        grid.SetColLabelValue(i, label)
        grid.SetColSize(i, scaled(width))
    return grid


def widen_last(grid, scaled, event) -> None:
    """Give the room that a wide window has to the last column, which holds sentences."""
    event.Skip()
    *first, last = COLUMNS.values()
    grid.SetColSize(len(first), max(scaled(last), event.GetSize().width - scaled(sum(first)) - 20))


def show_cell(grid, event) -> None:
    """The whole of a cell that may be cut off, as a tooltip."""
    event.Skip()
    row, column = grid.XYToCell(*grid.CalcUnscrolledPosition(event.Position))
    words = grid.GetCellValue(row, column) if row >= 0 and column >= 0 else TIPS["table"]
    if words != grid.GridWindow.GetToolTipText():
        grid.GridWindow.SetToolTip(words)


def on_key(tab, event) -> None:
    """Enter predicts, unless a button has it; Tab goes on to the next control, out of grids too."""
    window, code = wx.Window.FindFocus(), event.GetKeyCode()
    inside = next((w for n in ("sites", "table", "details") if (w := tab.wids[n]).IsDescendant(window)), None)
    if code == wx.WXK_TAB and inside and not event.ControlDown():
        inside.Navigate(wx.NavigationKeyEvent.IsBackward if event.ShiftDown() else wx.NavigationKeyEvent.IsForward)
    elif code in (wx.WXK_RETURN, wx.WXK_NUMPAD_ENTER) and not isinstance(window, wx.Button):
        tab.onPredictOne()
    else:
        event.Skip()


def show_options(wids, options) -> None:
    """What stands on the tab for a group; a field that is being typed into has it already, and keeps its cursor."""
    for name, value in options.items():
        if isinstance(wids[name], wx.Choice):
            wids[name].SetStringSelection(value)
        elif wids[name].Value != value:
            wids[name].ChangeValue(value)


def show_progress(wids, batch) -> None:
    for name in ("predict_one", "predict_sel"):
        wids[name].Enable(batch is None)
    wids["cancel"].Enable(batch is not None)
    wids["progress"].SetRange(batch.total if batch else 1)
    wids["progress"].SetValue(batch.done if batch else 0)


def show_answer(tab, name, found, problem) -> None:
    """The answer for the current group, or why there is none."""
    wids = tab.wids
    answer, numbers, status, sites = "CN –", name, problem, []
    colour, details = COLOURS.get(problem, "title_red"), HINT if problem in COLOURS else problem
    if found is not None and not problem:
        colour, (answer, numbers, status, details) = COLOURS[found.verdict], answer_texts(found)
        sites = [site_row(site) for site in found.neighbours]
    for widget, label in (("answer", answer), ("numbers", numbers), ("status", status)):
        wids[widget].SetLabel(label)
        wids[widget].SetToolTip(label)
        wids[widget].SetForegroundColour(get_color(colour))
    share_line(tab)
    wids["details"].ChangeValue(details)
    fill(wids["sites"], sites)


def show_table(grid, rows) -> None:
    colours = [get_color(COLOURS.get(row["verdict"] or row["Status"], "title_red")) for row in rows]
    fill(grid, [[row[column] for column in COLUMNS] for row in rows], colours)


def fill(grid, rows, colours=None) -> None:
    with wx.grid.GridUpdateLocker(grid):
        if grid.NumberRows > len(rows):
            grid.DeleteRows(0, grid.NumberRows - len(rows))
        elif grid.NumberRows < len(rows):
            grid.AppendRows(len(rows) - grid.NumberRows)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                grid.SetCellValue(i, j, str(value))
                if colours:
                    grid.SetCellTextColour(i, j, colours[i])
