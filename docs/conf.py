"""Settings of the documentation: `python -m sphinx -W docs docs/_build/html`. Nothing of it needs the network."""

import re
import shutil
from pathlib import Path

import larch_cnpredict
from larch_cnpredict.models import default_folder

DOCS = Path(__file__).parent
ROOT = DOCS.parent
MADE = DOCS / "_made"  # what Sphinx reads and is not written by hand

project = "larch-cnpredict"
author = "the larch-cnpredict developers"
release = version = larch_cnpredict.__version__
extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_nb", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "_made/gallery/*.ipynb", "_made/gallery/*.py"]
html_theme = "furo"
html_title = f"larch-cnpredict {release}"
html_show_sourcelink = False
smartquotes = False  # code in docstrings is to be copied
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}

autodoc_member_order = "bysource"
autodoc_class_signature = "separated"  # errors are caught by users, not made
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "_made/gallery",
    "backreferences_dir": "_made/used_in",
    "doc_module": ("larch_cnpredict",),
    "abort_on_example_error": True,
    "min_reported_time": 1e9,  # times of one machine are no news
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "copyfile_regex": r".*\.rst",
}


def copy_what_lives_elsewhere() -> None:
    """The card of the shipped models, the guide that Larix shows, and the notebook with the spectra that it reads."""
    for folder in (MADE / "card", MADE / "examples"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    guide = (ROOT / "larch_cnpredict" / "larix" / "guide.md").read_text(encoding="utf-8")
    (MADE / "larix.md").write_text(guide.replace("../../docs/", "../"), encoding="utf-8")
    for path in (*default_folder().glob("README.md"), *default_folder().glob("*.png")):
        shutil.copy(path, MADE / "card")
    for pattern in ("*.ipynb", "*.xdi", "*.dat"):
        for path in (ROOT / "examples").glob(pattern):
            shutil.copy(path, MADE / "examples")


def bars_are_not_substitutions(app, what, name, obj, options, lines: list[str]) -> None:
    """|chi(R)| is a magnitude in a docstring, which `help` shows as it is."""
    lines[:] = [re.sub(r"\|(?=\S[^|]*\|)([^|]*)\|", r"\\|\1\\|", line) for line in lines]


def setup(app) -> None:
    copy_what_lives_elsewhere()
    app.connect("autodoc-process-docstring", bars_are_not_substitutions, priority=900)  # after numpydoc
