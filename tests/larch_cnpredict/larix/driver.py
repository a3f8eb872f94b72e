"""Drives the real Larix, in a process of its own, as a user would: menus, buttons, the file list.

`Program` (started by the tests) is one on an X server of its own. What it is to do are functions of `scenarios.py`
that get a `Larix` and return plain values, which come back as JSON through a pipe. A scenario is called from Larix's
own main loop, and waits in the native loop: events come in the order that a user's Larix has them in. Everything waits
on conditions, nothing on clocks. A scenario that follows another finds a cleared session, its tabs and settings as new.
"""

import contextlib
import copy
import faulthandler
import json
import os
import subprocess
import sys
import threading
import time
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


class Program:
    """Larix with this LARCHDIR, until `end`: `play` a scenario with the values given, and get what it returns."""

    def __init__(self, larchdir, mode="xas", environment=None, sabotage=""):
        self.server = contextlib.ExitStack()  # of its own: on the display of another one a click would meet that
        display = self.server.enter_context(xvfb())
        env = {**os.environ, "DISPLAY": display, "LARCHDIR": str(larchdir), "HOME": str(larchdir), "GDK_BACKEND": "x11"}
        env["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # or each run would build the font cache
        env.pop("LARCHSTARTUP", None)
        env |= environment or {}
        reader, writer = os.pipe()
        command = [sys.executable, str(HERE / "driver.py"), mode, str(writer), sabotage]
        self.said = Path(larchdir) / "said.txt"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                command, env=env, cwd=larchdir, stdin=subprocess.PIPE, stdout=said, stderr=said, pass_fds=[writer]
            )
        os.close(writer)
        self.answers = os.fdopen(reader)

    def play(self, scenario, **given):
        """An AssertionError where the scenario fails, or Larix ends: it is of no use any more then."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended: there will be no answer
            self.process.stdin.write(f"{json.dumps([scenario, given], default=str)}\n".encode())
            self.process.stdin.flush()
        answer = self.answers.readline()
        if not answer:
            self.end()
            raise AssertionError(f"Larix ended with {self.process.returncode} in {scenario}\n{self.said.read_text()}")
        return json.loads(answer)

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()  # closes its standard input, which is what it ends at
        self.server.close()


class Larix:
    """The running program, with the few gestures that scenarios need."""

    def __init__(self):
        import wx

        self.wx = wx
        self.wait(self._ready)
        self.frame = self._ready()
        self.frame.timers["autosave"].Stop()  # nothing that depends on how long a scenario takes
        for window in self.wx.GetTopLevelWindows():
            if "Splash" in type(window).__name__:  # a click on what is behind it would meet it
                window.Destroy()
        self.controller = self.frame.controller
        self.larch = self.frame.larch  # the shell whose eval writes to the buffer
        self.settle()
        self.pressed = (0.0, None)  # when and where the mouse was, the last time
        self.settings, self.size = copy.deepcopy(self.controller.config), self.frame.Size
        bar = self.frame.menubar
        self.came_up = {  # what was there before anybody did anything
            "tabs": list(self.frame.get_panels()),
            "menus": [bar.GetMenuLabelText(i) for i in range(bar.GetMenuCount())],
            "buffer": self.buffer(),
        }

    def clear(self):
        """Larix's own Clear Session, and what it leaves as it is: windows, tabs, settings."""
        for window in self.frame.subframes.values():
            if window:
                window.Destroy()
        self.frame.subframes.clear()
        for file in self.controller.larix_folder.glob("*.conf"):
            file.unlink()
        for name, values in self.settings.items():
            self.controller.config[name].clear()
            self.controller.config[name].update(copy.deepcopy(values))
        self.frame.nb.DeleteAllPages()
        self.controller.clear_session()
        self.controller.groupname = None
        self.frame.larch_buffer.mainpanel.output.Clear()
        self.larch._larch.input.history.clear()
        for name in self.controller.config["main"]["panels"]:
            self.frame.add_analysis_panel(name)
        self.frame.nb.SetSelection(0)
        self.frame.SetSize(self.size)
        self.frame.write_message(" ")
        self.settle()

    def _ready(self):
        for window in self.wx.GetTopLevelWindows():
            status = getattr(window, "statusbar", None)
            if type(window).__name__ == "LarixFrame" and status and status.GetStatusText(1) == "ready":
                return window
        return None

    # --- events

    def wait(self, condition):
        """Let Larix run until the condition holds; the time limit of the process ends a wait that never does."""
        loop, errors = self.wx.GUIEventLoop(), []

        def look(event=None):
            try:
                if condition():
                    loop.ScheduleExit()
            except Exception as error:  # noqa: BLE001  (raised below, out of wx's reach)
                errors.append(error)
                loop.ScheduleExit()

        timer = self.wx.Timer()
        timer.Bind(self.wx.EVT_TIMER, look)
        timer.Start(20)
        loop.Run()
        timer.Stop()
        if errors:
            raise errors[0]

    def settle(self):
        """Let everything that is on its way be handled, idle events too."""
        for _ in range(2):  # what is handled may ask for more
            loop = self.wx.GUIEventLoop()

            def idle(event, loop=loop):
                event.Skip()
                loop.ScheduleExit()

            self.frame.Bind(self.wx.EVT_IDLE, idle)
            self.wx.CallAfter(self.wx.WakeUpIdle)
            loop.Run()
            self.frame.Unbind(self.wx.EVT_IDLE, handler=idle)

    def elapse(self, milliseconds):
        """Let Larix run for a while: only to see whether something happens that must not."""
        over: list = []
        self.wx.CallLater(milliseconds, over.append, 1)
        self.wait(lambda: over)

    def send(self, kind, widget, text="", settle=True):
        event = self.wx.CommandEvent(kind, widget.Id)
        event.SetEventObject(widget)
        event.SetString(text)
        widget.ProcessEvent(event)
        if settle:
            self.settle()

    # --- gestures

    def press(self, window, x=None, y=None, settle=True):
        """A real click of the mouse, in the middle of a window or at a point of it."""
        width, height = window.ClientSize
        point = window.ClientToScreen(width // 2 if x is None else x, height // 2 if y is None else y)
        robot = self.wx.UIActionSimulator()
        robot.MouseMove(point)
        apart = self.wx.SystemSettings.GetMetric(self.wx.SYS_DCLICK_MSEC) / 1000
        before, there = self.pressed
        self.wait(lambda: point != there or time.monotonic() > before + apart)  # or the two were a double-click
        self.real(self.wx.EVT_LEFT_UP, robot.MouseClick, settle=settle)
        self.pressed = time.monotonic(), point

    def key(self, code, modifiers=0):
        """A real key, to whatever has the focus."""
        self.real(self.wx.EVT_KEY_UP, lambda: self.wx.UIActionSimulator().Char(code, modifiers), code)

    def real(self, last, gesture, code=None, settle=True):
        """Move mouse or keys, until Larix has the last event of it (of this key): X11 may be late to hand it on."""
        heard = []

        class Ear(self.wx.EventFilter):  # type: ignore[misc,name-defined]
            def FilterEvent(self, event):
                if event.EventType == last.typeId and code in (None, getattr(event, "KeyCode", None)):
                    heard.append(1)
                return self.Event_Skip

        ear = Ear()
        self.wx.EvtHandler.AddFilter(ear)
        gesture()
        self.wait(lambda: heard)
        self.wx.EvtHandler.RemoveFilter(ear)
        if settle:
            self.settle()

    def wheel(self, window):
        """A real turn of the wheel, down and up again, further down than up. wx has no gesture for it, X11 has."""
        width, height = window.ClientSize
        self.wx.UIActionSimulator().MouseMove(window.ClientToScreen(width // 3, height // 2))
        self.settle()
        self.fake_buttons(5, 5, 4)
        self.settle()

    def fake_buttons(self, *buttons):
        """Buttons of the mouse where it is, pressed one after the other."""
        import ctypes

        x11, xtest = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        display = ctypes.c_void_p(x11.XOpenDisplay(None))
        for button in buttons:
            for pressed in (1, 0):
                xtest.XTestFakeButtonEvent(display, button, pressed, 0)
        x11.XSync(display, 0)
        x11.XCloseDisplay(display)

    def on_bar(self, key):
        """A tab on the bar, as it is drawn now."""
        bar = self.frame.nb._pages
        bar.Refresh()
        bar.Update()
        return bar, bar._pagesInfoVec[self.frame.get_panels()[key]]

    def press_tab(self, key):
        bar, tab = self.on_bar(key)
        self.press(bar, tab.GetPosition().x + 8, tab.GetPosition().y + tab.GetSize().height // 2)

    def close_tab(self, key, settle=True):
        """The x of a tab."""
        bar, tab = self.on_bar(key)
        (left, top, width, height) = tab.GetXRect()
        self.press(bar, left + width // 2, top + height // 2, settle=settle)

    def menu(self, title, label, settle=True):
        bar = self.frame.menubar
        item = next(i for i in bar.GetMenu(bar.FindMenu(title)).MenuItems if i.ItemLabelText.startswith(label))
        self.frame.ProcessEvent(self.wx.CommandEvent(self.wx.wxEVT_MENU, item.Id))
        if settle:
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

    def answering(self, *answers, seen=None):
        """Answer the modal dialogs to come, in turn: a file dialog with its path, any other with a return code.

        What they ask is appended to `seen`.
        """
        return answering(self.wx, list(answers), [] if seen is None else seen)

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
def answering(wx, answers, seen):
    class Hook(wx.ModalDialogHook):  # type: ignore[name-defined]
        def Enter(self, dialog):
            answer = answers.pop(0)
            seen.append(getattr(dialog, "Message", dialog.Title))
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


def main(mode, pipe, sabotage):
    faulthandler.enable()
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    import scenarios
    import wx
    from larch.wxxas import LarixApp

    if sabotage:
        getattr(scenarios, sabotage)()

    ended = []  # what is to be seen when Larix has ended by itself
    playing = []

    def play(look):
        try:
            seen = look()
            if callable(seen):
                return ended.append(seen)
            os.write(int(pipe), f"{json.dumps(seen, default=str)}\n".encode())
        except BaseException:  # noqa: BLE001  (the parent shows it; wx's own way out is not to be trusted here)
            traceback.print_exc()
            end(1)

    def scenario(line):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        name, given = json.loads(line)
        if playing:
            playing[0].clear()
        else:
            playing.append(Larix())
        return getattr(scenarios, name)(playing[0], **given)

    def end(status):
        for window in wx.GetTopLevelWindows():
            if hasattr(window, "controller"):  # or the next Larix would ask what to do with this session
                window.controller.delete_lockfile()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def listen():
        for line in sys.stdin:
            wx.CallAfter(wx.CallLater, 1, play, lambda line=line: scenario(line))
        wx.CallAfter(end, 0)

    app = LarixApp(check_version=False, mode=mode)
    threading.Thread(target=listen, daemon=True).start()
    app.MainLoop()
    play(ended[0])
    end(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
