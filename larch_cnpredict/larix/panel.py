"""The CN tab of Larix: predict, show the answer and how far to trust it, compare the selected groups.

The panel keeps no results: it shows what `predict_cn` wrote to the groups, and asks each time whether the arrays have
changed since.
"""

import csv
import io
import json
from itertools import groupby
from pathlib import Path

import numpy as np
import wx
import wx.grid
from larch import Group
from larch.wxlib import LEFT, Button, Check, Choice, FileSave, HLine, Popup, SimpleText, get_color, get_font, pack
from larch.wxxas.taskpanel import TaskPanel

from ..errors import CNPredictError
from ..features import ELEMENTS
from ..models import default_folder
from ..plot import NOTABLE, RED, draw_probabilities
from ..result import Prediction, is_stale

PANEL = "cnpredict"
TITLE = "CN"
DESCRIPTION = "Coordination Number from EXAFS"
AUTO = "<Auto>"
TRANSFORMS = {AUTO: "auto", "As for training": "training", "Group's own": "own"}
# Groups in one command, that is between two looks at the user's events. Each command costs Larix a refresh of its
# buffer's object tree, which grows with the number of groups: so long batches go in ten commands.
BATCH = 10
COLUMNS = {"Group": 215, "Absorber": 75, "CN": 45, "90 % set": 85, "Mean": 95, "Status": 230}
CSV_COLUMNS = (
    *("Group", "Absorber", "CN", "Probability", "90 % set", "Mean CN", "Sigma"),
    *("Status", "Model", "Version", "Notes"),
)
COLOURS = {"ok": "title_green", "undecided": "title_blue", "outside": "title_red"}
# column: its cell in `Prediction.row`
CELLS = {"Absorber": "absorber", "CN": "cn", "Probability": "p", "Mean CN": "cn_mean", "Sigma": "cn_std"}
CELLS |= {"Model": "model", "Version": "model_version", "Notes": "notes"}
NO_GROUP, NOT_YET = "No group: read data first", "Not predicted yet"
HEADROOM = 1.6  # height of the plot in units of the highest |chi(R)|: above it is room for the probabilities


def model_choices() -> list[str]:
    """The default and each family by its name; where models are damaged, `predict_cn` says so when it is called."""
    try:
        manifest = (default_folder() / "manifest.json").read_text(encoding="utf-8")
        return ["default", *json.loads(manifest)["families"]]
    except (CNPredictError, OSError, ValueError, KeyError):
        return ["default"]


def say(frame, message: str) -> None:
    """Write an error to the Larch buffer and to the status bar."""
    frame.larch.set_textstyle("error")
    frame.larch.write(f"{message}\n")
    frame.larch.set_textstyle("text")
    frame.write_message(message)


class CNPanel(TaskPanel):
    """Coordination numbers of the current and of the selected groups."""

    def __init__(self, parent, controller, **kws):
        self.failures = {}  # groupname: (message, the group and the chir_mag it was about)
        self.waiting, self.ready, self.asked, self.failed = [], [], 0, 0  # the running batch
        self.sorting = None  # (column, whether it rises)
        self.rows, self.seen = [], None
        self.checked = {}  # groupname: (stamp, whether the result was stale then)
        super().__init__(parent, controller, panel=PANEL, **kws)
        self.timers = {"batch": wx.Timer(self)}  # Larix stops these when it closes
        self.Bind(wx.EVT_TIMER, self.onBatch, self.timers["batch"])
        self.Bind(wx.EVT_IDLE, self.onIdle)

    # --- display

    def build_display(self):
        panel, wids = self.panel, self.wids
        config = self.get_defaultconfig()

        def button(name, label, width, action):
            wids[name] = Button(panel, label, size=(width, -1), action=action)

        def choice(name, choices, width, action):
            wids[name] = Choice(panel, choices=list(choices), size=(width, -1), action=action)

        def text(name, width, larger):
            style = LEFT | wx.ST_ELLIPSIZE_END
            wids[name] = SimpleText(panel, " ", size=(width, -1), font=get_font(larger=larger), style=style)

        def line(*items):
            sizer = wx.BoxSizer(wx.HORIZONTAL)
            for item in items:
                widget = wids[item] if item in wids else SimpleText(panel, item)
                sizer.Add(widget, 0, wx.ALIGN_CENTER_VERTICAL | wx.RIGHT, 6)
            panel.Add(sizer, newrow=True, dcol=7)

        button("predict_one", "Predict Current Group", 185, self.onPredictOne)
        button("predict_sel", "Predict Selected Groups", 185, self.onPredictSelected)
        button("cancel", "Cancel", 80, self.onCancel)
        wids["progress"] = wx.Gauge(panel, size=(170, 18))
        choice("absorber", (AUTO, *ELEMENTS), 90, self.onAbsorber)
        choice("model", model_choices(), 130, None)
        choice("transform", TRANSFORMS, 150, None)
        wids["model"].SetStringSelection(str(config["model"]))
        wids["absorber"].SetToolTip("the absorber of this group, where the one that was found is wrong")
        wids["transform"].SetToolTip(
            "the chi(R) that the models read: <Auto> takes the group's own where it was made as for training,\n"
            "else makes a new one from chi(k).  The group's own arrays are never changed."
        )
        button("plot_one", "Plot Current Group", 185, self.onPlotOne)
        wids["plot_on_choose"] = Check(
            panel, default=bool(config["auto_plot"]), label="Auto-Plot when choosing Current Group?"
        )
        text("answer", 150, 8)
        text("numbers", 590, 2)
        text("status", 740, 1)
        wids["details"] = wx.TextCtrl(panel, size=(750, 88), style=wx.TE_MULTILINE | wx.TE_READONLY)
        wids["families"] = self.make_grid({"Model": 95, "CN": 45, "Probability": 85}, 130)
        wids["sites"] = self.make_grid(
            {"Nearest known site": 155, "Formula": 135, "CN": 45, "Shell": 105, "Distance": 70}, 130
        )
        wids["table"] = self.make_grid(COLUMNS, 170, parent=self)
        wids["table"].Bind(wx.EVT_SIZE, self.onTableSize)
        wids["table"].Bind(wx.grid.EVT_GRID_COL_SORT, self.onSort)
        wids["table"].Bind(wx.grid.EVT_GRID_CELL_LEFT_DCLICK, self.onShowRow)
        button("copy", "Copy Table", 120, self.onCopy)
        button("export", "Export to CSV File", 160, self.onExport)

        panel.Add(SimpleText(panel, DESCRIPTION, size=(450, -1), **self.titleopts), dcol=7)
        line("predict_one", "predict_sel", "cancel", "progress")
        line("plot_one", "plot_on_choose")
        line("Absorber:", "absorber", "  Model:", "model", "  Fourier transform:", "transform")
        panel.Add(HLine(panel, size=(750, 3)), newrow=True, dcol=7)
        line("answer", "numbers")
        line("status")
        line("details")
        line("families", "sites")
        panel.Add(HLine(panel, size=(750, 3)), newrow=True, dcol=7)
        wids["table_title"] = SimpleText(panel, "Selected Groups", size=(200, -1), **self.titleopts)
        line("table_title", "copy", "export")
        panel.pack()
        sizer = wx.BoxSizer(wx.VERTICAL)
        sizer.Add(panel, 0, LEFT, 3)
        sizer.Add(wids["table"], 1, wx.EXPAND | wx.LEFT | wx.BOTTOM, 3)
        pack(self, sizer)
        self.show_progress()

    def make_grid(self, columns, height, parent=None):
        grid = wx.grid.Grid(parent or self.panel, size=(sum(columns.values()) + 5, height))
        grid.CreateGrid(0, len(columns))
        grid.EnableEditing(False)
        grid.DisableDragRowSize()
        grid.HideRowLabels()
        grid.SetColLabelSize(24)
        grid.SetLabelFont(get_font())
        grid.SetDefaultCellFont(get_font())
        for i, (label, width) in enumerate(columns.items()):
            grid.SetColLabelValue(i, label)
            grid.SetColSize(i, width)
        return grid

    def onTableSize(self, event):
        """Give the room that a wide window has to the last column, which holds sentences."""
        event.Skip()
        *first, last = COLUMNS.values()
        self.wids["table"].SetColSize(len(first), max(last, event.GetSize().width - sum(first) - 20))

    # --- what Larix calls

    def fill_form(self, dgroup, newgroup=False):
        self.wids["absorber"].SetStringSelection(self.absorber(dgroup))
        self.refresh()

    def process(self, dgroup=None, **kws):
        """At every choice of a group: predict only where Preferences ask for it, and after the choice is shown."""
        dgroup = dgroup or self.controller.get_group()
        if self.controller.config[PANEL]["auto_predict"] and not self.current(dgroup):
            wx.CallAfter(self.predict, [dgroup])

    def onPanelHidden(self, **kws):
        pass  # the group's configuration is written where it changes

    def onIdle(self, event):
        """Keep up with whatever changes groups: commands in the buffer, other tabs, the check boxes."""
        event.Skip()
        if not self.asked and self.IsShownOnScreen() and self.state() != self.seen:
            self.refresh()

    # --- predicting

    def onPredictOne(self, event=None):
        dgroup = self.controller.get_group()
        if dgroup is None:
            return self.write_message("Read data first: there is no current group")
        return self.predict([dgroup])

    def onPredictSelected(self, event=None):
        groups = self.selected()
        if not groups:
            return self.write_message("No groups selected: check them in the list at the left")
        return self.predict(groups)

    def predict(self, groups):
        """Predict these groups, a few at a time between the user's events."""
        if self.asked:
            return self.write_message("Still predicting: wait or cancel")
        self.waiting, self.ready, self.asked, self.failed = list(groups), [], len(groups), 0
        self.show_progress()
        return self.timers["batch"].StartOnce(1)

    def onBatch(self, event=None):
        size = max(BATCH, self.asked // 10)
        if self.waiting and len(self.ready) < size:
            # a group that has its chi(R) costs nothing here; Larix's own processing of one is a step of its own
            processed = False
            while self.waiting and len(self.ready) < size and not processed:
                dgroup = self.waiting.pop(0)
                processed = self.prepare(dgroup)
        elif self.ready:
            groups, self.ready = self.ready, []
            for _, alike in groupby(groups, key=self.absorber):
                self.run(list(alike))
        self.show_progress()
        if self.waiting or self.ready:
            self.timers["batch"].StartOnce(1)
        else:
            failed = f", {self.failed} failed: see the table" if self.failed else ""
            self.finish(f"Predicted coordination numbers of {self.asked - self.failed} groups{failed}")

    def onCancel(self, event=None):
        done = self.asked - len(self.waiting) - len(self.ready)
        self.waiting, self.ready = [], []
        self.finish(f"Cancelled: {done} of {self.asked} groups were done")

    def finish(self, message):
        self.timers["batch"].Stop()
        one, self.asked = self.asked == 1, 0
        self.show_progress()
        self.refresh()
        self.write_message(message)
        if one and self.wids["plot_on_choose"].IsChecked() and self.current(self.controller.get_group()):
            self.plot(why=True)

    def prepare(self, dgroup) -> bool:
        """See that the group has chi(R), from the EXAFS tab and its settings; True where that tab had work to do."""
        self.failures.pop(dgroup.groupname, None)
        removed = dgroup is not getattr(self.controller.symtable, dgroup.groupname, None)
        if removed:  # since it was asked for
            return False
        missing = getattr(dgroup, "chir_mag", None) is None and self.is_xasgroup(dgroup)
        problem = ""
        if missing and getattr(dgroup, "is_frozen", False):
            problem = "This group is frozen and has no chi(R): process it on the EXAFS tab first"
        elif missing:
            try:
                if not (hasattr(dgroup, "norm") and hasattr(dgroup, "e0")):
                    self.page("xasnorm").process(dgroup, force=True, use_form=False)
                exafs = self.page("exafs")
                exafs.get_config(dgroup)  # sets the k limits, which are -1 in a group just read
                exafs.process(dgroup)
            except Exception as err:  # noqa: BLE001  (whatever Larix meets in bad data, the other groups go on)
                problem = f"Larix could not process this group on the EXAFS tab: {err}"
        if problem:
            self.fail(dgroup, problem)
            say(self.parent, f"{dgroup.filename}: {problem}")
        else:
            self.ready.append(dgroup)
        return missing

    def run(self, groups):
        """One Larch command for groups that are asked about in the same way."""
        names = [dgroup.groupname for dgroup in groups]
        single = self.asked == 1
        options = {
            "element": self.absorber(groups[0]).replace(AUTO, ""),
            "model": self.wids["model"].GetStringSelection().replace("default", ""),
            "transform": TRANSFORMS[self.wids["transform"].GetStringSelection()].replace("auto", ""),
            "errors": "" if single else "collect",
        }
        args = [names[0] if single else f"[{', '.join(names)}]"]
        args += [f"{key}='{value}'" for key, value in options.items() if value]
        system = self.controller.symtable._sys
        system.last_error = None
        answer = self.larch_eval(f"predict_cn({', '.join(args)})")
        error = system.last_error
        for i, dgroup in enumerate(groups):
            if error is not None:
                self.fail(dgroup, str(error.exc_info[1] or error.msg))
            elif not single and isinstance(answer[i], Exception):
                self.fail(dgroup, str(answer[i]))
            else:
                self.checked[dgroup.groupname] = (stamp_of(dgroup), False)

    def fail(self, dgroup, message):
        self.failures[dgroup.groupname] = (message, dgroup, getattr(dgroup, "chir_mag", None))
        self.failed += 1

    def page(self, key):
        """Another tab, which may have to be opened; the one that is shown stays."""
        book = self.parent.nb
        shown = book.GetSelection()
        page = self.parent.get_nbpage(key)[1]
        if book.GetSelection() != shown:
            book.SetSelection(shown)
        return page

    def onAbsorber(self, event=None):
        dgroup = self.controller.get_group()
        if dgroup is not None:
            if not hasattr(dgroup, "config"):
                dgroup.config = Group(__name__="larix config")
            setattr(dgroup.config, PANEL, {"absorber": self.wids["absorber"].GetStringSelection()})

    @staticmethod
    def absorber(dgroup) -> str:
        return (getattr(getattr(dgroup, "config", None), PANEL, None) or {}).get("absorber", AUTO)

    # --- showing

    def selected(self):
        names = self.controller.filelist.GetCheckedStrings()
        groups = [getattr(self.controller.symtable, self.controller.file_groups.get(name, ""), None) for name in names]
        return [dgroup for dgroup in groups if dgroup is not None]

    def state(self):
        """What the display depends on, as far as it can be seen cheaply."""
        files = self.controller.filelist
        return (self.controller.symtable._sys.last_eval_time, self.controller.groupname, files.GetCheckedStrings())

    def failure(self, dgroup) -> str | None:
        message, about, chir_mag = self.failures.get(dgroup.groupname, (None, None, None))
        return message if about is dgroup and chir_mag is getattr(dgroup, "chir_mag", None) else None

    def stored(self, dgroup) -> tuple[Prediction | None, str]:
        """The result that the group holds, and why it is not to be shown as the answer ('' where it is)."""
        if getattr(dgroup, "cn_predict", None) is None:
            return None, self.failure(dgroup) or NOT_YET
        try:
            found = Prediction.from_group(dgroup.cn_predict)
        except CNPredictError:
            return None, "The result was written by another version: predict again"
        if failure := self.failure(dgroup):
            return found, failure
        if self.is_stale(dgroup):
            return found, f"Stale, predict again: data or settings have changed since CN {found.cn} was predicted"
        return found, ""

    def is_stale(self, dgroup) -> bool:
        """`is_stale` transforms anew: for a table of hundreds, once for each change of a group."""
        stamp = stamp_of(dgroup)
        if self.checked.get(dgroup.groupname, (None, None))[0] != stamp:
            self.checked[dgroup.groupname] = (stamp, is_stale(dgroup))
        return self.checked[dgroup.groupname][1]

    def current(self, dgroup) -> Prediction | None:
        found, problem = self.stored(dgroup)
        return None if problem else found

    def refresh(self):
        self.seen = self.state()
        self.show_answer()
        self.rows = [self.row(dgroup) for dgroup in self.selected()]
        self.show_table()

    def show_progress(self):
        running = self.asked > 0
        for name in ("predict_one", "predict_sel"):
            self.wids[name].Enable(not running)
        self.wids["cancel"].Enable(running)
        done = self.asked - len(self.waiting) - len(self.ready)
        self.wids["progress"].SetRange(max(1, self.asked))
        self.wids["progress"].SetValue(done)
        if running:
            self.write_message(f"Predicting coordination numbers: {done} of {self.asked} groups")

    def show_answer(self):
        wids, dgroup = self.wids, self.controller.get_group()
        found, problem = self.stored(dgroup) if dgroup is not None else (None, NO_GROUP)
        if found is None or problem:
            answer, numbers, status = "CN –", getattr(dgroup, "filename", ""), problem
            colour = "text" if problem in (NOT_YET, NO_GROUP) else "title_red"
            details, families, sites = [problem], [], []
        else:
            status, colour = found.advice, COLOURS[found.verdict]
            answer = f"CN {found.cn}"
            numbers = f"{found.element} {found.edge}:  p = {found.p:.2f},  90 % set {found.set_text},"
            numbers += f"  mean {found.mean_text}"
            details = [*found.notes, f"model: {found.model}, version {found.model_version}"]
            families = [(found.family, found.cn, f"{found.p:.2f}")]
            sites = [site_text(site) for site in found.neighbours]
        for name, label in (("answer", answer), ("numbers", numbers), ("status", status)):
            wids[name].SetLabel(label)
            wids[name].SetForegroundColour(get_color(colour))
        wids["details"].ChangeValue("\n".join(f"• {line}" for line in details))
        fill(wids["families"], families)
        fill(wids["sites"], sites)

    def row(self, dgroup) -> dict:
        """One line of the table; numbers only where they are the group's own now."""
        found, problem = self.stored(dgroup)
        out: dict[str, str | int | float] = dict.fromkeys((*COLUMNS, *CSV_COLUMNS), "")
        out |= {"Group": dgroup.filename, "Status": problem}
        if found is not None and not problem:
            out |= {
                "90 % set": found.set_text,
                "Mean": found.mean_text,
                "Status": f"outside: {found.reason}" if found.reason else found.verdict,
                **{heading: found.row()[key] for heading, key in CELLS.items()},
            }
        return out

    def show_table(self):
        if self.sorting:
            column, rising = self.sorting
            blank = [row for row in self.rows if row[column] == ""]
            rest = [row for row in self.rows if row[column] != ""]
            self.rows = sorted(rest, key=lambda row: row[column], reverse=not rising) + blank
        fill(self.wids["table"], [[row[column] for column in COLUMNS] for row in self.rows])

    def onSort(self, event):
        column = list(COLUMNS)[event.GetCol()]
        rising = self.sorting != (column, True)
        self.sorting = (column, rising)
        self.wids["table"].SetSortingColumn(event.GetCol(), rising)
        event.Veto()  # the grid would turn the arrow itself, by its own count of clicks
        self.show_table()

    def onShowRow(self, event):
        self.parent.ShowFile(filename=self.rows[event.GetRow()]["Group"])

    def onPlotOne(self, event=None):
        self.plot(why=True)

    def plot(self, dgroup=None, why=False, **kws):
        """|chi(R)| as Larix plots it, the parts that carried the answer shaded, class probabilities in its corner.

        To find those parts takes tens of predictions: done where it is asked for, not at each choice of a group.
        """
        dgroup = dgroup or self.controller.get_group()
        if dgroup is None or getattr(dgroup, "chir_mag", None) is None:
            return self.write_message("This group has no chi(R) yet")
        title = repr(dgroup.filename)
        self.larch_eval(f"plot_chir({dgroup.groupname}, show_mag=True, rmax=6, win=1, title={title})")
        found = self.current(dgroup)
        if found is not None:
            if why and not hasattr(dgroup.cn_predict, "importance"):
                self.larch_eval(f"explain({dgroup.groupname})")
            plot = self.controller.get_display(win=1).panel
            plot.conf.draw_legend(show=False)
            plot.set_xylims([0, 6, 0, HEADROOM * dgroup.chir_mag.max()])
            draw_answer(plot.axes, found, dgroup.cn_predict)
            plot.canvas.draw()
        return self.controller.set_focus()

    # --- handing on

    def table_text(self, columns, dialect) -> str:
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, dialect=dialect, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()

    def onCopy(self, event=None):
        if wx.TheClipboard.Open():
            wx.TheClipboard.SetData(wx.TextDataObject(self.table_text(COLUMNS, "excel-tab")))
            wx.TheClipboard.Close()
            self.write_message(f"Copied {len(self.rows)} rows")

    def onExport(self, event=None):
        self.refresh()
        if not self.rows:
            return self.write_message("No groups selected: check them in the list at the left")
        path = FileSave(
            self, "Save Coordination Numbers", default_file="coordination.csv", wildcard="CSV Files (*.csv)|*.csv"
        )
        if path is None:
            return None
        exists = Path(path).exists()
        if exists and Popup(self, f"Overwrite {path}?", "Overwrite existing file?", style=wx.YES_NO) != wx.ID_YES:
            return None
        try:
            Path(path).write_text(self.table_text(CSV_COLUMNS, "excel"), encoding="utf-8")
        except OSError as err:
            return say(self.parent, f"{path} could not be written: {err.strerror}")
        return self.write_message(f"Wrote {len(self.rows)} rows to {path}")


def fill(grid, rows) -> None:
    with wx.grid.GridUpdateLocker(grid):
        if grid.NumberRows > len(rows):
            grid.DeleteRows(0, grid.NumberRows - len(rows))
        elif grid.NumberRows < len(rows):
            grid.AppendRows(len(rows) - grid.NumberRows)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                grid.SetCellValue(i, j, str(value))


def stamp_of(dgroup) -> int:
    """Changes with everything on the group that a prediction may depend on, in microseconds."""
    values = [
        (name, value.tobytes() if isinstance(value, np.ndarray) else value)
        for name, value in vars(dgroup).items()
        if isinstance(value, np.ndarray | str | int | float)
    ]
    xftf = getattr(getattr(dgroup, "callargs", None), "xftf", None)
    return hash((tuple(values), repr(xftf), id(dgroup.cn_predict)))


def draw_answer(axes, found: Prediction, made) -> None:
    """Shade the parts of R that carried the answer, where that is known, and set the probabilities in the corner."""
    shades = np.clip(getattr(made, "importance", [0.0]), 0, None)
    if shades.max() > 0:
        half = (made.importance_r[1] - made.importance_r[0]) / 2
        for r, shade in zip(made.importance_r, shades / max(shades.max(), NOTABLE), strict=True):
            axes.axvspan(r - half, r + half, ymax=1 / HEADROOM, color=RED, alpha=0.4 * shade, linewidth=0)
        style = {"color": RED, "size": "x-small", "va": "top"}
        axes.text(0.02, 0.97, "red: what carried the answer", transform=axes.transAxes, **style)
    corner = axes.inset_axes([0.58, 0.6, 0.4, 0.3])
    draw_probabilities(corner, found)
    corner.tick_params(labelsize="x-small")
    for item in (corner.title, corner.xaxis.label, corner.yaxis.label):
        item.set_fontsize("x-small")


def site_text(site: dict) -> list:
    return [*(site.get(key, "") for key in ("site", "formula", "cn", "shell")), f"{site['distance']:.1f}"]
