"""The CN tab of Larix: predict, show the answer and how far to trust it, compare the selected groups."""

from functools import partial
from pathlib import Path
from typing import Any

import wx
import wx.grid
from larch.larchlib import read_config, save_config
from larch.site_config import user_larchdir
from larch.wxlib import set_widget_value
from larch.wxxas.taskpanel import TaskConfigFrame, TaskPanel

from ..request import Request
from ..scans import series_names
from ..spectrum import spectrum_name
from . import asked, display, host, plots, table
from .answers import Answers, metadata_of
from .aside import aside, show_series, wake_models
from .batch import Batch, count
from .next_step import browse_structure, fit_first_shell
from .table import COLUMNS, PANEL, SCAN_NUMBER, TRANSFORMS, model_choices

TITLE = "CN"
DESCRIPTION = "Coordination Number from EXAFS"
PAUSE = 25  # ms between two steps of a batch: GTK sees to timers before drawing and CallAfter, and would starve these
CONFIG_FILE = Path(user_larchdir, "larix", "larix_cnpredict.conf")


class CNPanel(TaskPanel):
    """Coordination numbers of the current and of the selected groups."""

    def __init__(self, parent, controller, **kws):
        self.answers = Answers()
        self.batch: Any = None  # the one that is running
        self.focused: Any = None  # what had the keyboard when it began
        self.then: Any = None  # what is to be done when it has ended
        self.sorting = None  # (column, whether it rises)
        self.rows, self.seen, self.of_series = [], None, []
        saved = read_config(CONFIG_FILE) if CONFIG_FILE.exists() else {}
        self.configs: dict[str, Any] = {"default": {}, **(saved if isinstance(saved, dict) else {})}
        super().__init__(parent, controller, panel=PANEL, **kws)
        self.Bind(wx.EVT_IDLE, self.onIdle)

    def build_display(self):
        display.build(self, self.get_defaultconfig(), model_choices())
        self.show_progress()

    # --- what Larix calls

    def fill_form(self, dgroup, newgroup=False):
        self.refresh()

    def process(self, dgroup=None, **kws):
        """At every choice of a group: predict only where Preferences ask for it, and after the choice is shown."""
        dgroup = dgroup or self.controller.get_group()
        if self.controller.config[PANEL]["auto_predict"] and not self.batch and not self.answer(dgroup):
            wx.CallAfter(self.predict, [dgroup])

    def onPanelExposed(self, **kws):
        aside(self, wake_models)
        super().onPanelExposed(**kws)

    def onPanelHidden(self, **kws):
        pass  # the group's configuration is written where it changes

    def onIdle(self, event):
        """Keep up with whatever changes groups: commands in the buffer, other tabs, the check boxes."""
        event.Skip()
        if not self.batch and self.IsShownOnScreen() and self.state() != self.seen:
            self.refresh()

    # --- predicting

    def onPredictOne(self, event=None):
        dgroup = self.current()
        return self.write_message(host.NO_GROUP) if dgroup is None else self.predict([dgroup])

    def onPredictSelected(self, event=None):
        groups = self.selected()
        return self.predict(groups) if groups else self.write_message(host.NONE_SELECTED)

    def predict(self, groups, then=None):
        """Predict these groups, a few at a time between the user's events, then do what is to be done with them."""
        if not host.is_open(self):  # closed since this was asked for
            return None
        if self.batch:
            self.doing = "Still predicting, wait or cancel"  # stands before each count of what is done from now on
            return self.show_progress()
        for dgroup in groups:
            self.answers.forget(dgroup)
        exists, evaluate = partial(host.exists, self.controller), partial(host.evaluate, self)
        self.batch = Batch(groups, self.request, exists, self.make_ready, evaluate)
        self.then, self.doing = then, "Predicting coordination numbers"
        self.focused = host.focused(self)
        self.show_progress()
        return wx.CallLater(1, self.onBatch, self.batch)

    def onBatch(self, batch):
        """The next step. Larix may have deleted this tab since the last: a timer of its own would then end Larix."""
        if not host.is_open(self) or batch is not self.batch:
            return
        try:
            batch.step()
        except Exception as err:  # noqa: BLE001  (said, and nothing after it; the batch must not look as if it ran on)
            host.say(self.parent, err)
            batch.cancel()
            self.batch = None
        for dgroup, problem in batch.failed:
            self.answers.failed(dgroup, table.in_words_of_the_tab(problem, spectrum_name(dgroup)))
        for dgroup in batch.answered:
            self.answers.answered(dgroup)
        self.show_progress()
        if not batch.running:
            self.refresh()  # the answer is seen before anything is drawn
        wx.CallLater(PAUSE, self.onBatch if batch.running else self.finish, batch)

    def onCancel(self, event=None):
        if self.batch:
            self.batch.cancel()
            self.refresh()
            self.finish(self.batch)

    def finish(self, batch):
        if not host.is_open(self) or batch is not self.batch:
            return
        self.batch = None
        self.show_progress()
        host.focus(self, host.focused(self, self.focused))
        self.write_message(batch.summary)
        if self.then and not batch.cancelled:
            self.then(None)
        elif [*batch.groups] == [self.current()] and self.wids["plot_on_choose"].IsChecked():
            self.plot(why=bool(batch.answered))
        if self.IsShownOnScreen() and self.current() not in [None, *batch.groups] and not batch.cancelled:
            self.process()  # chosen meanwhile

    def make_ready(self, dgroup):
        """See that the group can be asked about: whether that was work, and what is wrong with it or with its s02."""
        s02 = self.request(dgroup).reference
        if isinstance(s02, str):
            return False, f"s02 {s02!r} is no number: write one such as 0.85, or leave it empty"
        return host.make_chi(self, dgroup)

    def request(self, dgroup) -> Request:
        transform = TRANSFORMS[self.wids["transform"].GetStringSelection()]
        return asked.request(dgroup, self.wids["model"].GetStringSelection(), transform)

    # --- settings

    def onOption(self, event=None):
        """Absorber, formula, sites and s02 are of the group, and kept with it."""
        dgroup = self.current()
        if dgroup is not None:
            texts = {name: self.wids[name].Value for name in ("formula", "s02")}
            choices = {name: self.wids[name].StringSelection for name in ("absorber", "one_site")}
            asked.keep(dgroup, **choices, **texts)
            self.seen = None  # to be shown when idle: keys may come faster than a table of hundreds is made

    def onCopyOption(self, name):
        """Absorber, formula, sites or s02 of the current group, for all selected ones."""
        groups, widget = self.selected(), self.wids[name]
        value = widget.StringSelection if isinstance(widget, wx.Choice) else widget.Value
        if not groups:
            return self.write_message(host.NONE_SELECTED)
        for dgroup in groups:
            asked.keep(dgroup, **{name: value})
        self.refresh()
        self.write_message(f"{table.TITLES[name]} {value or 'none'}: copied to {count(len(groups))}")

    def onConfigSelect(self, event=None):
        name = self.wids["conf_choice"].GetStringSelection()
        options = self.get_defaultconfig() if name == "default" else self.configs.get(name, {})
        for key, value in options.items():
            if key in self.wids:
                set_widget_value(self.wids[key], value)

    def onConfigSave(self, event=None):
        frame = {"taskpanel": self, "callback": self.onConfigSaved, "config_opts": self.configs}
        self.parent.show_subframe("cnpredict_conf", TaskConfigFrame, **frame)

    def onConfigSaved(self):
        self.wids["conf_choice"].SetChoices(list(self.configs))
        try:
            save_config(CONFIG_FILE, self.configs, form="yaml")
        except OSError as err:
            message = f"CN options are not kept: {CONFIG_FILE} could not be written ({err.strerror})"
            return host.say(self.parent, message)
        return self.write_message(f"Saved CN options {CONFIG_FILE}")

    # --- showing

    def current(self):
        """The current group, unless it has been removed from the list: Larix keeps it among its variables."""
        dgroup = self.controller.get_group()
        return dgroup if dgroup is not None and host.exists(self.controller, dgroup) else None

    def stored(self, dgroup):
        """Its answer, and why it is not to be shown: also where something else stands on the tab than was asked."""
        if dgroup is None:
            return None, host.NO_GROUP
        found, problem = self.answers.stored(dgroup)
        if found and not problem and (unlike := asked.unlike(dgroup, found.request)):
            problem = f"Predict again: {unlike} changed since {found.headline} was predicted"
        return found, problem

    def answer(self, dgroup):
        found, problem = self.stored(dgroup)
        return None if problem else found

    def selected(self):
        names = [self.controller.file_groups.get(name) for name in self.controller.filelist.GetCheckedStrings()]
        groups = [getattr(self.controller.symtable, name, None) for name in names if name]
        return [dgroup for dgroup in groups if dgroup is not None]

    def state(self):
        """What the display depends on, as far as it can be seen cheaply."""
        larix, files = self.controller, self.controller.filelist
        return larix.symtable._sys.last_eval_time, larix.groupname, files.Items, files.GetCheckedStrings()

    def refresh(self):
        self.seen = self.state()
        if (dgroup := self.current()) is not None:
            display.show_options(self.wids, asked.options(dgroup))
        display.show_answer(self, getattr(dgroup, "filename", ""), *self.stored(dgroup))
        self.rows = [table.row(dgroup.filename, *self.stored(dgroup)) for dgroup in self.selected()]
        self.show_table()
        self.show_series_names()

    def show_series_names(self):
        """What the selected groups can be drawn against."""
        groups, choice = self.selected(), self.wids["series_x"]
        if (known := list(map(metadata_of, groups))) != self.of_series:  # or hundreds take a third of a second
            self.of_series, chosen = known, choice.GetStringSelection()
            choice.SetItems([SCAN_NUMBER, *sorted(series_names(groups), key=lambda name: "." in name)])
            choice.SetStringSelection(chosen) or choice.SetSelection(0)

    def show_progress(self):
        display.show_progress(self.wids, self.batch)
        if self.batch:
            self.write_message(f"{self.doing}: {self.batch.done} of {count(self.batch.total)}")

    def show_table(self):
        if self.sorting:
            self.rows = table.in_order(self.rows, *self.sorting)
        display.show_table(self.wids["table"], self.rows)

    def onSort(self, event):
        column = list(COLUMNS)[event.GetCol()]
        self.sorting = (column, rising := self.sorting != (column, True))
        self.wids["table"].SetSortingColumn(event.GetCol(), rising)
        event.Veto()  # the grid would turn the arrow itself, by its own count of clicks
        self.show_table()

    def onShowRow(self, event):
        self.parent.ShowFile(filename=self.rows[event.GetRow()]["Group"])

    # --- plotting

    def onPlotOne(self, event=None):
        self.plot(why=True)

    def onSeries(self, event=None, then=lambda series: None):
        """The selected groups as a series, in a window of its own; `then`: what is done with its figure."""
        groups = self.selected()
        if len(groups) < 2:
            return self.write_message(f"Check two or more groups in the list: {len(groups)} checked")
        x = self.wids["series_x"].GetStringSelection()
        against = None if x == SCAN_NUMBER else x
        return self.when_answered(groups, lambda good: show_series(self, good, count(len(groups)), against, then))

    def onPicked(self, dgroup):
        """A point of the series: its group becomes the current one."""
        if host.is_open(self) and dgroup is not None and host.exists(self.controller, dgroup):
            self.parent.ShowFile(filename=dgroup.filename)

    def onCompare(self, event=None):
        groups = self.selected()
        if len(groups) != 2:
            return self.write_message(f"Check two groups in the list: {len(groups)} checked")
        command = f"plot_cn_compare({', '.join(dgroup.groupname for dgroup in groups)})"
        return self.when_answered(groups, lambda good: host.show_figure(self, "cn_compare", command), least=2)

    def onFirstShell(self, event=None):
        dgroup = self.current()
        if dgroup is None:
            return self.write_message(host.NO_GROUP)
        return self.when_answered([dgroup], lambda good: fit_first_shell(self.parent, dgroup))

    def onStructure(self, event=None):
        """From the nearest known site that is chosen to its structure, in Larix's own CIF browser."""
        found = self.answer(self.current())
        if found is None:
            return self.write_message("Predict the current group first: there is no nearest known site")
        row = event.GetRow() if isinstance(event, wx.grid.GridEvent) else max(0, self.wids["sites"].GridCursorRow)
        return browse_structure(self, found.neighbours[row], found.element)

    def when_answered(self, groups, action, least=1):
        """Ask about those of the groups that have no answer, a few at a time, then do this with all that have one."""

        def go(event):
            good = [dgroup for dgroup in groups if self.answer(dgroup)]
            if len(good) >= least:
                return action(good)
            bad = next(dgroup for dgroup in groups if dgroup not in good)
            return self.write_message(f"{bad.filename}: {self.stored(bad)[1]}")

        unanswered, then = [dgroup for dgroup in groups if not self.answer(dgroup)], host.guarded(self.parent, go)
        return self.predict(unanswered, then) if unanswered else then(None)

    def plot(self, dgroup=None, why=False, **kws):
        """|chi(R)| and the answer; `why`, tens of predictions, also what carried it: not at each choice of a group."""
        dgroup = dgroup or self.current()
        if dgroup is None:
            return self.write_message(host.NO_GROUP)
        before = host.focused(self, self.focused)
        plots.plot_one(self, dgroup, why)
        self.controller.set_focus()
        return host.focus(self, before)

    def onPlotSelected(self, event=None):
        groups = [dgroup for dgroup in self.selected() if getattr(dgroup, "chir_mag", None) is not None]
        if not groups:
            return self.write_message("No selected group has chi(R): predict them first, or process them")
        plots.plot_several(self, groups)
        return self.controller.set_focus()

    def onCopy(self, event=None):
        if not self.rows:
            return self.write_message(host.NONE_SELECTED)
        return host.copy(self, table.as_text(self.rows, COLUMNS, "excel-tab"), f"Copied {len(self.rows)} rows")

    def onReport(self, event=None):
        """The answer of the current group, as a paragraph for a paper's supplement."""
        dgroup = self.current()
        if self.answer(dgroup) is None:
            return self.write_message("Predict the current group first: there is no answer to report")
        text = host.evaluate(self, f"cn_report({dgroup.groupname})")
        if isinstance(text, Exception):
            raise text
        return host.copy(self, text, "Copied the report")

    def onExport(self, event=None):
        self.refresh()
        host.save(self, [row["csv"] for row in self.rows], "coordination.csv")

    def onExportSeries(self, event=None):
        self.onSeries(then=lambda series: host.save(self, series.rows(), "series.csv"))
