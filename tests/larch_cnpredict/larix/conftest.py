"""Larix under Xvfb. Where wx or Xvfb are missing these tests are skipped, unless LARCH_CNPREDICT_REQUIRE_GUI=1."""

import importlib.util
import os
import shutil

import pytest
from larch.io import AthenaProject
from larch.xafs import pre_edge

from larch_cnpredict.larch_hooks import SNIPPET
from tests.larch_cnpredict.larix import driver


def pytest_collection_modifyitems(items):
    there = {"wx": importlib.util.find_spec("wx"), "Xvfb": shutil.which("Xvfb")}
    missing = [name for name, found in there.items() if not found]
    for item in items:
        if {"larix", "shared"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.gui)
            if missing and os.environ.get("LARCH_CNPREDICT_REQUIRE_GUI") != "1":
                item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(missing)}, see README"))


def new_larchdir(folder):
    """A fresh LARCHDIR with the snippet that `larch-cnpredict install` writes."""
    folder.mkdir()
    (folder / "init.lar").write_text(SNIPPET, encoding="utf-8")
    return folder


@pytest.fixture
def larchdir(tmp_path):
    return new_larchdir(tmp_path / "larch")


@pytest.fixture
def larix(larchdir):
    """`larix('scenario', mode='xas', **given)`: start Larix, run the scenario, return what it saw."""

    def start(scenario, mode="xas", environment=None, sabotage="", **given):
        program = driver.Program(larchdir, mode, environment, sabotage)
        try:
            return program.play(scenario, **given)
        finally:
            program.end()

    return start


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """Programs by their mode, for the tests that leave Larix as they found it; where one has ended, a new one."""
    programs: dict[str, driver.Program] = {}

    def get(mode):
        if mode not in programs or programs[mode].process.poll() is not None:
            programs[mode] = driver.Program(new_larchdir(tmp_path_factory.mktemp(mode) / "larch"), mode)
        return programs[mode]

    yield get
    for program in programs.values():
        program.end()


@pytest.fixture
def shared(running):
    """As `larix`, in a Larix that is running: its session is cleared, its windows, tabs and settings are as new."""
    return lambda scenario, mode="xas", **given: running(mode).play(scenario, **given)


@pytest.fixture
def raw(measured):
    """mu(E) of a measured example, as `raw('CuO', label=..., shift=...)`."""

    def make(stem, label=None, shift=0.0):
        group, label = measured(stem), label or stem
        out = type(group)(energy=group.energy + shift, mu=group.mu, filename=label, groupname=label, datatype="xas")
        pre_edge(out)
        return out

    return make


@pytest.fixture
def athena(tmp_path):
    """An Athena project, as a user would have it: mu(E) and no chi(k)."""

    def write(*groups):
        project = AthenaProject(str(tmp_path / "measured.prj"))
        for group in groups:
            project.add_group(group)
        project.save()
        return project.filename

    return write


@pytest.fixture
def project(athena, raw):
    return athena(raw("CuO"), raw("Cu_foil"), raw("Ni_foil"))
