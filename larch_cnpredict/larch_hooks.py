"""Registration in Larch, and the snippet in the user's init.lar that asks for it."""

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import larch_cnpredict

from .errors import FileError

FUNCTIONS = tuple(name for name in larch_cnpredict.__all__ if name.islower() and name != "register")
_BEGIN, _END = "# >>> larch-cnpredict >>>", "# <<< larch-cnpredict <<<"
# find_spec is the guard: a failed import would end init.lar there and then, silently, and try/except does not catch it.
# Names are deleted again because a module or function left in the session would be written into .larix files.
SNIPPET = f"""{_BEGIN}
from importlib.util import find_spec as _cn_find_spec
if _cn_find_spec('larch_cnpredict') is not None:
    from larch_cnpredict.larch_hooks import register as _cn_register
    _cn_register(_larch=_larch)
    del _cn_register
#endif
del _cn_find_spec
{_END}
"""
_INSTALLED = re.compile(rf"{_BEGIN}(?:(?!{_BEGIN}).)*?{_END}\r?\n?", re.DOTALL)


def register(_larch: Any = None) -> None:
    """Make the functions of this package functions of Larch, like `xftf`; where Larix runs, add menu and panel.

    `_larch` is the interpreter that is running; those made later in this process have them too. Never raises: what goes
    wrong is written to Larch's output, so that a broken plugin cannot stop the rest of init.lar.
    """
    try:
        from larch import builtins
        from larch.closure import Closure

        for name in FUNCTIONS:
            function = getattr(larch_cnpredict, name)
            builtins.init_builtins.setdefault("_xafs", {})[name] = function
            if _larch is not None:
                setattr(_larch.symtable.get_group("_xafs"), name, Closure(func=function, _larch=_larch))
        if "larch.wxxas.xasgui" in sys.modules:
            import wx

            wx.CallAfter(install_larix, _larch)
    except Exception as error:  # noqa: BLE001  (said, and Larch goes on)
        _say(_larch, f"{type(error).__name__}: {error}")


def install_larix(_larch: Any = None) -> None:
    """Add the tab to Larix and the menu to its windows. Never raises either."""
    try:
        from .larix import menu

        menu.install(_larch)
    except ImportError as error:
        _say(_larch, f"the CN tab needs the Larix of Larch 2026.2 or later ({error})")
    except Exception as error:  # noqa: BLE001  (said, and Larix goes on)
        _say(_larch, f"{type(error).__name__}: {error}")


def _say(_larch: Any, why: str) -> None:
    text = f"larch-cnpredict could not be loaded: {why}\n"
    (sys.stderr if _larch is None else _larch.writer).write(text)


def init_file() -> Path:
    """The file Larch runs at its start: `init.lar` in `LARCHDIR` (or ~/.larch), or `LARCHSTARTUP`."""
    from larch.site_config import init_files

    return Path(init_files[0])


def is_installed() -> bool:
    """Whether the snippet is in the user's init.lar as this version writes it."""
    return SNIPPET in _read(init_file())


def install() -> Path:
    """Write the snippet into the user's init.lar, once; everything else in it stays. Returns the file."""
    path = init_file()
    text = _INSTALLED.sub("", _read(path))
    _replace(path, text + ("\n" if text and not text.endswith("\n") else "") + SNIPPET)
    return path


def uninstall() -> Path | None:
    """Take the snippet out of the user's init.lar again. Returns the file, or None where there was none."""
    path = init_file()
    without, count = _INSTALLED.subn("", _read(path))
    if not count:
        return None
    _replace(path, without)
    return path


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def _replace(path: Path, text: str) -> None:
    """Write beside it and swap, so that a full disk or a crash cannot cost the user their init.lar."""
    path = path.resolve()
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(text.encode("utf-8", "surrogateescape"))
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    except OSError as error:
        raise FileError(path, f"it cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
