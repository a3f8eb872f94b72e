"""Drives the real Larix, in a process of its own, as a user would: menus, buttons, the file list.

`run` (called by the tests) starts it on an X server from `xvfb`; what it does there is a function of `scenarios.py`
that gets a `Larix` and returns plain values, which come back through a JSON file. Everything waits on conditions,
nothing on clocks.
"""

import contextlib
import faulthandler
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import matplotlib

HERE = Path(__file__).parent
LIMIT = 480  # s; a Larix that hangs is ended, with a traceback of every thread


@contextlib.contextmanager
def xvfb(size="2400x1400"):
    """An X server of our own on a free display. `-noreset`: it must outlive its first client."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-noreset", "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        number = pipe.readline().strip()  # comes when the server is ready
    try:
        if not number:
            raise RuntimeError(f"Xvfb did not start (status {server.wait()})")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def run(scenario, display, larchdir, mode="xas", **given):
    """Start Larix with this LARCHDIR, run the scenario with the values given, return what it returns."""
    result = Path(larchdir) / "result.json"
    env = {**os.environ, "DISPLAY": display, "LARCHDIR": str(larchdir), "HOME": str(larchdir), "GDK_BACKEND": "x11"}
    env["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # or each run would build the font cache
    env.pop("LARCHSTARTUP", None)
    command = [sys.executable, str(HERE / "driver.py"), scenario, mode, str(result), json.dumps(given, default=str)]
    done = subprocess.run(command, env=env, cwd=larchdir, capture_output=True, text=True, timeout=LIMIT + 30)
    if done.returncode:
        raise AssertionError(f"Larix ended with {done.returncode} in {scenario}\n{done.stdout}\n{done.stderr}")
    return json.loads(result.read_text(encoding="utf-8"))


class Larix:
    """The running program, with the few gestures that scenarios need."""

    def __init__(self, mode):
        import wx
        from larch.wxxas import LarixApp

        self.wx = wx
        self.app = LarixApp(check_version=False, mode=mode)
        self.loop = wx.GUIEventLoop()
        self._active = wx.EventLoopActivator(self.loop)
        self.wait(self._ready)
        self.frame = self._ready()
        self.controller = self.frame.controller
        self.larch = self.frame.larch  # the shell whose eval writes to the buffer
        self.settle()

    def _ready(self):
        for window in self.wx.GetTopLevelWindows():
            status = getattr(window, "statusbar", None)
            if type(window).__name__ == "LarixFrame" and status and status.GetStatusText(1) == "ready":
                return window
        return None

    # --- events

    def wait(self, condition):
        """Handle events until the condition holds; the time limit of the process ends a wait that never does."""
        while not condition():
            self.loop.DispatchTimeout(20)
            self.app.ProcessPendingEvents()
            self.loop.ProcessIdle()

    def settle(self):
        """Handle everything that is on its way, idle events too; a batch that is running runs to its end."""
        seen = []
        self.wx.CallAfter(seen.append, 1)
        self.wait(lambda: seen)
        while self.loop.Pending():
            self.loop.Dispatch()
        while self.loop.ProcessIdle():
            pass

    def send(self, kind, widget, text="", settle=True):
        event = self.wx.CommandEvent(kind, widget.Id)
        event.SetEventObject(widget)
        event.SetString(text)
        widget.ProcessEvent(event)
        if settle:
            self.settle()

    # --- gestures

    def menu(self, title, label):
        bar = self.frame.menubar
        item = next(i for i in bar.GetMenu(bar.FindMenu(title)).MenuItems if i.ItemLabelText.startswith(label))
        self.frame.ProcessEvent(self.wx.CommandEvent(self.wx.wxEVT_MENU, item.Id))
        self.settle()

    def click(self, button, settle=True):
        assert button.IsEnabled(), button.Label
        self.send(self.wx.wxEVT_BUTTON, button, settle=settle)

    def choose(self, choice, label):
        assert choice.SetStringSelection(label), f"no {label} in {choice.Items}"
        self.send(self.wx.wxEVT_CHOICE, choice, label)

    def select(self, name, settle=True):
        files = self.controller.filelist
        files.SetStringSelection(name)
        self.send(self.wx.wxEVT_LISTBOX, files, name, settle=settle)

    def check(self, names):
        self.controller.filelist.SetCheckedStrings(list(names))
        self.settle()

    def tab(self, key):
        index, page = self.frame.get_nbpage(key)
        self.frame.nb.SetSelection(index)
        self.settle()
        return page

    def read_athena(self, path):
        from larch.io import AthenaProject

        self.frame.onReadAthenaProject_OK(str(path), list(AthenaProject(str(path)).groups))
        self.settle()
        return list(self.controller.filelist.GetItems())

    def answering(self, *answers):
        """Answer the modal dialogs to come, in turn: a file dialog with its path, any other with a return code."""
        return answering(self.wx, list(answers))

    # --- looking

    def group(self, name):
        return self.controller.filename2group(name)

    def buffer(self):
        return self.frame.larch_buffer.mainpanel.output.GetValue()

    def screenshot(self, path, *windows):
        from PIL import ImageGrab

        for window in windows:
            window.Refresh()
            window.Update()
        self.settle()
        boxes = [window.GetScreenRect() for window in windows]
        left, top = min(box.Left for box in boxes), min(box.Top for box in boxes)
        right, bottom = max(box.Right for box in boxes) + 1, max(box.Bottom for box in boxes) + 1
        ImageGrab.grab(bbox=(left, top, right, bottom), xdisplay=os.environ["DISPLAY"]).save(path)


@contextlib.contextmanager
def answering(wx, answers):
    class Hook(wx.ModalDialogHook):
        def Enter(self, dialog):
            answer = answers.pop(0)
            if isinstance(dialog, wx.FileDialog):
                dialog.GetPath = lambda: str(answer)
                return wx.ID_OK
            return answer

    hook = Hook()
    hook.Register()
    try:
        yield
    finally:
        hook.Unregister()
    assert not answers, f"no dialog asked for {answers}"


def main(scenario, mode, result, given):
    faulthandler.enable()
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    status = 1
    try:
        import scenarios

        function, given = getattr(scenarios, scenario), json.loads(given)
        sabotage = given.pop("sabotage", None)
        if sabotage:
            getattr(scenarios, sabotage)()
        Path(result).write_text(json.dumps(function(Larix(mode), **given), default=str), encoding="utf-8")
        status = 0
    except BaseException:  # noqa: BLE001  (the parent shows it; wx's own way out is not to be trusted here)
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
