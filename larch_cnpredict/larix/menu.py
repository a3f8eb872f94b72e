"""The tab and the menu in Larix, added through its own tables and menu bar: none of its classes is touched."""

import wx
from larch.larchlib import read_config
from larch.wxlib import MenuItem
from larch.wxxas import config as larix_config
from larch.wxxas.config import CVar

from .display import TIPS
from .host import guarded, say
from .pages import show_card, show_guide
from .panel import DESCRIPTION, TITLE, CNPanel
from .table import AUTO, PANEL, TRANSFORMS, model_choices

MODES = ("all", "xas", "exafs")
SETTINGS = (
    CVar("auto_predict", False, "bool", desc="whether to predict a Group's coordination number when it is chosen here"),
    CVar("auto_plot", True, "bool", desc="whether to plot a Group when it is predicted\nor chosen on the CN tab"),
    CVar("model", "default", "choice", choices=model_choices(), desc="model to use for new Groups"),
    CVar("transform", AUTO, "choice", choices=list(TRANSFORMS), desc="chi(R) that the models read, for new Groups"),
)
ENTRIES = (  # in the menu: label, the control that does the same, and what is called
    ("&Predict CN for Current Group", "predict_one", CNPanel.onPredictOne),
    ("Predict CN for Se&lected Groups", "predict_sel", CNPanel.onPredictSelected),
    None,
    ("Plot &Series of Selected Groups", "series", CNPanel.onSeries),
    ("&Compare Two Groups", "compare", CNPanel.onCompare),
    ("&Fit First Shell of Current Group", "first_shell", CNPanel.onFirstShell),
    ("Find Structure of Nearest &Known Site", "structure", CNPanel.onStructure),
    None,
    ("&Export CN of Selected Groups to CSV File", "export", CNPanel.onExport),
    ("Copy &Report on Current Group", "report", CNPanel.onReport),
    None,
)
_TRIES = 300  # a window that is not there after half a minute will not come


def install(_larch=None) -> None:
    """Put the CN tab into Larix's tables, then tab and menu into its window, which may still be in the making.

    The tables are of the process; a program of Larix that comes after another in it has its own windows.
    """
    if PANEL not in larix_config.LARIX_PANELS:
        _fill_tables()
    app = wx.GetApp()
    if not hasattr(app, "cn_attached"):  # init.lar and an entry point may both ask
        app.cn_attached = True
        wx.CallAfter(_attach, _TRIES)
        app.Bind(wx.EVT_WINDOW_CREATE, _on_window)


def _fill_tables() -> None:
    constructor = f"{CNPanel.__module__}.{CNPanel.__name__}"
    larix_config.LARIX_PANELS[PANEL] = larix_config.AnalysisTab(TITLE, constructor, DESCRIPTION)
    larix_config.CONF_SECTIONS[PANEL] = DESCRIPTION
    larix_config.FULLCONF[PANEL] = {setting.name: setting for setting in SETTINGS}
    larix_config.XASCONF.setdefault(PANEL, {setting.name: setting.value for setting in SETTINGS})
    setattr(larix_config, PANEL, list(SETTINGS))  # where Save Current Configuration looks for a tab's settings
    for mode in MODES:
        title, panels = larix_config.LARIX_MODES[mode]
        if PANEL not in panels:
            larix_config.LARIX_MODES[mode] = (title, (*panels, PANEL))


def _on_window(event) -> None:
    """A second window of Larix is to have the tab too."""
    event.Skip()
    if isinstance(event.GetWindow(), wx.Frame):
        wx.CallAfter(_attach, _TRIES)


def _attach(tries: int) -> None:
    """Into each window of Larix, once its menu bar is there."""
    frames = [window for window in wx.GetTopLevelWindows() if type(window).__name__ == "LarixFrame"]
    ready = [frame for frame in frames if getattr(frame, "statusbar", None)]
    for frame in ready:
        if not hasattr(frame, "cn_attached"):
            frame.cn_attached = True  # also where it fails: once is enough
            try:
                _add_tab(frame)
                _add_menu(frame)
            except Exception as err:  # noqa: BLE001  (whatever it is, Larix must go on)
                say(frame, f"The coordination number tab could not be added: {err}")
    if tries and (not frames or ready != frames):
        wx.CallLater(100, _attach, tries - 1)


def _add_tab(frame) -> None:
    """What Larix does for its own tabs when it starts, unless it found ours in its tables and has done it."""
    controller = frame.controller
    if PANEL not in controller.config:
        saved = read_config(controller.config_file) or {}
        controller.config[PANEL] = larix_config.XASCONF[PANEL] | saved.get(PANEL, {})
        if frame.mode in MODES:
            controller.config["main"]["panels"] = (*controller.config["main"]["panels"], PANEL)
    if PANEL in controller.config["main"]["panels"] and PANEL not in frame.get_panels():
        shown = frame.nb.GetSelection()
        cn_page(frame)
        frame.nb.SetSelection(shown)


def cn_page(frame) -> CNPanel:
    """The CN tab, opened where it is not. Larix would print an error of the constructor to the terminal only."""
    if PANEL not in frame.get_panels():
        frame.nb.AddPage(CNPanel(parent=frame, controller=frame.controller), TITLE, True)
    return frame.nb.GetPage(frame.get_panels()[PANEL])


def _add_menu(frame) -> None:
    bar, menu = frame.menubar, wx.Menu()

    def entry(label, text, action, menu=menu):
        MenuItem(frame, menu, label, text, guarded(frame, action))

    def shown(event=None) -> CNPanel:
        page = cn_page(frame)
        frame.nb.SetSelection(frame.get_panels()[PANEL])
        return page

    for item in ENTRIES:
        if item:
            label, control, method = item
            entry(label, TIPS[control].replace("\n", " "), lambda event, method=method: method(shown()))
        else:
            menu.AppendSeparator()
    entry("Show CN Pa&nel", "Show coordination numbers and how sure they are", shown)
    entry("Show &Model Card", "What the models were trained on, and how good they are", lambda event: show_card(frame))
    place = bar.FindMenu("Help")
    if place != wx.NOT_FOUND:
        what = "What the CN tab shows, and how to read it"
        entry("&Coordination Numbers (CN)", what, lambda event: show_guide(frame), menu=bar.GetMenu(place))
    bar.Insert(max(0, place), menu, f"&{TITLE}")
