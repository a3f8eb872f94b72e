"""The settings: one home of defaults, and one sentence for whatever is wrong with a user's own."""

import re
from dataclasses import replace

import pytest

from build_models import config
from build_models.__main__ import main
from build_models.config import ConfigError


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[source]\nkind = "icsd"', r"\[source\] kind = 'icsd': should be 'amcsd', 'mp', 'cif' or 'parquet'"),
        ('[source]\nway = "xanes"', r"\[source\] way = 'xanes': should be 'feff' or 'xas'"),
        ('[source]\nelements = ["Fe", "Xx"]', r"\[source\] elements = 'Xx': should be 'Sc', "),
        ("[source]\nelements = []", r"\[source\] elements = \[\]: .* at least 1"),
        ("[feff]\nrpth = 6.0", r"\[feff\] has no 'rpth'; it has rpath, "),
        ('[feff]\nrpath = "6"', r"\[feff\] rpath = '6': should be a valid number"),
        ("[feff]\nrpath = nan", r"\[feff\] rpath = nan: should be a finite number"),
        ("[fef]", r"there is no section \[fef\]; there are run, source, order, feff, train"),
        ("run = 5", r"there is no section \[run\] but a value of that name"),
        ("[run]\nlimit = -5", r"\[run\] limit = -5: should be greater than or equal to 0"),
        ("[run]\nworkers = true", r"\[run\] workers = True: should be a valid integer"),
        ("[run]\nout = 5", r"\[run\] out = 5: "),
        ("[train]\ntables = [5]", r"\[train\] tables = 5: should be a valid string"),
        ('[train]\nversion = ""', r"\[train\] version = '': String should match pattern"),  # the folder of all of them
        ('[train]\nversion = ".."', r"\[train\] version = '\.\.': String should match pattern"),
        ("[train]\nfolds = 1", r"\[train\] folds = 1: should be greater than or equal to 2"),
        ("[train]\nsample_folds = 2", r"\[train\] sample_folds = 2: with \[train\] keep alone, from 2 to folds = 5"),
        ('[train]\nkeep = "x"\nsample_folds = 6', r"sample_folds = 6: with \[train\] keep alone, from 2 to folds = 5"),
        ("[feff]\nrpath = 8.0", r"\[feff\] rpath = 8 is beyond cluster_radius = 7.1"),
        ("[feff]\ndebye_temperatures = [300, 200]", r"\[feff\] debye_temperatures = \[300.0, 200.0\]: should rise"),
        ("[train", "cannot read the configuration"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_file_section_and_key(toml, message, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(toml)
    assert main(["fetch", "--config", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "mine.toml" in said
    assert re.search(message, said)


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"[run]\nout = '\xff'")
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        config.load(tmp_path / "mine.toml")


def test_the_command_line_is_over_the_file_and_the_file_over_the_defaults(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text("[run]\nlimit = 7\nseed = 1\n[feff]\nrpath = 5")
    settings = config.load(tmp_path / "mine.toml", {"run": {"limit": 9}})
    assert (settings.limit, settings.seed, settings.run.workers) == (9, 1, 0)
    assert settings.feff.rpath == 5.0
    assert isinstance(settings.feff.rpath, float)  # an integer in the file gives the same hash
    with pytest.raises(ConfigError, match=r"the command line: \[run\] limit = -5"):
        config.load(tmp_path / "mine.toml", {"run": {"limit": -5}})
    assert main(["config", "--config", str(tmp_path / "mine.toml"), "--limit", "9"]) == 0
    (tmp_path / "printed.toml").write_text(capsys.readouterr().out)
    assert config.load(tmp_path / "printed.toml") == settings


def test_the_hash_follows_what_decides_the_result_and_is_that_of_earlier_tables():
    def of(**given):
        return config.load(None, given).provenance()["config_hash"]

    assert of() == of(run={"workers": 7, "out": "x"})
    assert of() != of(feff={"rpath": 6})
    # what commit 242403a said of these settings: tables that were made before still belong to them
    source, order = {"kind": "parquet", "path": "structures.parquet"}, {"skip": ["first.parquet"]}
    assert of(order=order, source=source) == "81a0cd491007"


def test_settings_cannot_be_changed_by_accident():
    settings = config.load()
    with pytest.raises(AttributeError):
        settings.run.limit = 3  # type: ignore[misc]
    assert replace(settings.train, tables=["a.parquet"]).tables == ("a.parquet",)
    assert settings.train.tables == ()
