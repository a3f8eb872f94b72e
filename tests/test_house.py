"""The package as a whole: what goes into a wheel, what a bare pytest finds, and that one thing is said in one place."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml

import larch_cnpredict
from build_models.config import load
from tests import mutations

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Built from a copy of the checkout in which an earlier build, of another time, has left its files."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("larch_cnpredict", "plugin_data", "build_models", "tests"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.py"), *ROOT.glob("*.md"), ROOT / "LICENSE"):
        shutil.copy(path, checkout)
    for stale in ("stale.py", "plugin_data/2020.1.1/manifest.json"):
        path = checkout / "build" / "lib" / "larch_cnpredict" / stale
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (checkout / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def in_checkout(folder: str, pattern: str) -> set[str]:
    paths = (path for path in (ROOT / folder).rglob(pattern) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_the_wheel_holds_the_package_and_its_models_and_nothing_else(wheel):
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    models = {f"larch_cnpredict/{name}" for name in in_checkout("plugin_data", "*")}
    package = {name for pattern in ("*.py", "py.typed", "guide.md") for name in in_checkout("larch_cnpredict", pattern)}
    assert files == package | models


def test_the_wheel_is_small_enough_to_mail(wheel):
    assert Path(str(wheel.filename)).stat().st_size < 25e6


def test_one_version(wheel):
    assert f"-{larch_cnpredict.__version__}-" in Path(str(wheel.filename)).name
    newest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest is not None
    assert newest[1] == larch_cnpredict.__version__
    assert "version" in PROJECT["dynamic"]


@pytest.mark.parametrize(
    "chosen",
    [[], ["tests/larch_cnpredict/test_cli.py", "tests/larch_cnpredict/larix", "tests/build_models/data/test_feff.py"]],
    ids=["bare", "single files and Larix"],
)
def test_pytest_collects(chosen):
    # -P: as with the bare command `pytest`, the folder is not put on the path
    command = [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    for name in ("tests/larch_cnpredict/test_cli.py", "tests/larch_cnpredict/larix/test_larix.py"):
        assert name in collected


def test_no_extra_builds_wx():
    asked = {re.split(r"[\[<>=~ ]", line)[0] for lines in PROJECT["optional-dependencies"].values() for line in lines}
    assert not asked & {"wxmplot", "wxutils", "wxpython", "wxPython", "sitka_spruce"}


def test_training_writes_where_no_build_does():
    assert load().out.resolve() not in {(ROOT / name).resolve() for name in ("build", "dist", "docs")}


def test_each_promised_python_is_tested():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    promised = re.findall(r"Python :: (\d\.\d+)", " ".join(PROJECT["classifiers"]))
    assert workflow["jobs"]["predict"]["strategy"]["matrix"]["python"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("CITATION.cff", {"cff-version", "message", "title", "authors"}),  # those that the format asks for
        (".pre-commit-config.yaml", {"repos"}),
        (".github/workflows/release.yml", {"name", "jobs"}),
    ],
)
def test_others_can_read_it(name, keys):
    assert keys <= set(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(("folder", "extra"), [("larch_cnpredict", ["series"]), ("build_models", ["build"])])
def test_what_is_imported_is_asked_for(folder, extra):
    lines = PROJECT["dependencies"] + [line for name in extra for line in PROJECT["optional-dependencies"][name]]
    lines += [line for line in requires("xraylarch") or [] if "extra ==" not in line]  # Larch brings these
    asked = {re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in lines}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py"))
    modules = set(re.findall(r"^ *(?:from|import) (\w+)(?=[\w.]* import|[\w.]*$|[\w.]* as)", code, re.M))
    modules -= {"larch_cnpredict", "build_models", "wx", *sys.stdlib_module_names}  # where wx is not, no Larix either
    homes = packages_distributions()
    assert {m for m in modules if not asked & {d.lower().replace("_", "-") for d in homes.get(m, [m])}} == set()


def test_no_module_is_long():
    files = in_checkout("larch_cnpredict", "*.py") | in_checkout("build_models", "*.py")
    lines = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in files}
    assert {name for name, count in lines.items() if count > 350} == set()


def test_each_planted_fault_has_its_place():
    for file, faults in mutations.FAULTS.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        assert [fault.name for fault in faults if text.count(fault.right) != 1] == []
        assert all((ROOT / mutations._tests(file, fault)).exists() for fault in faults)


def test_models_are_there_in_a_checkout_that_is_not_installed():
    code = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
from larch_cnpredict.models import default_folder
print(default_folder())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith(str(ROOT / "plugin_data")), done.stderr
