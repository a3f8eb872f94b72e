"""Fixtures that several test files share. Larch reads LARCHDIR when it is imported, so it is set first."""

import os
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache

os.environ["LARCHDIR"] = tempfile.mkdtemp(prefix="larchdir_")
os.environ.pop("LARCHSTARTUP", None)

import matplotlib as mpl
import pytest
from larch import Group, Interpreter
from larch.io import read_ascii
from larch.xafs import xftf
from matplotlib import pyplot

from larch_cnpredict.files import process
from tests.helpers import EXAMPLES, TRAINING

mpl.use("Agg")
TOGETHER = ("tests/larch_cnpredict/larix", "tests/build_models")  # one screen; tables that are made once


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where there are several processes (pytest -n 2), one of them does a folder of these whole, else a file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::")[0])

    return ByFolder(config, log)


@lru_cache
def _background_removed(stem: str) -> Group:
    (path,) = EXAMPLES.glob(f"{stem}*")
    columns = read_ascii(str(path))
    return process(Group(energy=columns.data[0].copy(), mu=columns.data[1].copy(), filename=path.name))


@pytest.fixture
def measured() -> Callable[..., Group]:
    """A fresh group of a measured example after autobk and xftf: `measured('CuO', kmax=12, ...)`."""

    def make(stem: str = "Cu_foil", **settings) -> Group:
        group = deepcopy(_background_removed(stem))
        xftf(group, **(settings or TRAINING))
        return group

    return make


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    """No test leaves its figures to the next."""
    yield
    pyplot.close("all")


@pytest.fixture(scope="session")
def _interpreter() -> Interpreter:
    return Interpreter()


@pytest.fixture
def larch(_interpreter: Interpreter) -> Interpreter:
    """A Larch session with nothing in it."""
    _interpreter.error = []
    _interpreter("clear_session()")
    return _interpreter
