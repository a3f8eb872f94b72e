"""The command line on real files of every kind that it reads."""

import csv
import gzip
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from larch import Group
from larch.io import read_athena
from larch.xafs import autobk, pre_edge, xftf

from larch_cnpredict import cli, errors, files, larch_hooks, models, predict, predict_cn, series
from larch_cnpredict.request import Request
from larch_cnpredict.spectrum import read_spectrum
from tests.helpers import EXAMPLES, athena

ROWS = "".join(f"{8000 + i} {0.5 + i}\n" for i in range(60))
FOIL, OXIDE = EXAMPLES / "Cu_foil_liquid_nitrogen.dat", EXAMPLES / "CuO_liquid_nitrogen.xdi"


@pytest.fixture
def project(measured, tmp_path):
    groups = measured("Cu_foil"), measured("Ni_foil")
    for group, name in zip(groups, ("Cu_foil", "Ni_foil"), strict=True):
        group.groupname = name
    return athena(tmp_path / "foils.prj", *groups)


@pytest.fixture
def session(measured, larch, tmp_path):
    larch.symtable.cu, larch.symtable.ni = measured("Cu_foil", kmin=2, kmax=11, dk=4), measured("Ni_foil")
    larch.symtable.other = 3
    del larch.symtable.ni.chir_mag, larch.symtable.ni.chi
    larch(f"save_session('{tmp_path / 'both.larix'}')")
    return tmp_path / "both.larix"


def test_every_kind_of_file_gives_groups_that_can_be_predicted(project, session):
    for path, elements in ((FOIL, ["Cu"]), (OXIDE, ["Cu"]), (project, ["Cu", "Ni"]), (session, ["Cu", "Ni"])):
        groups = [files.process(group) for group in files.read_groups(path)]
        assert [read_spectrum(group).element for group in groups] == elements
    assert read_spectrum(files.read_groups(session)[0]).xftf["kmax"] == 11


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("energy i0 itrans", lambda e, mu: (e, 1e5 * np.ones_like(mu), 1e5 * np.exp(-mu))),
        ("energy_keV ifluor i0", lambda e, mu: (e / 1000, 3 * mu, 3 * np.ones_like(mu))),
        ("energy i0 xmu", lambda e, mu: (e, np.ones_like(mu), mu)),
        ("energy mu", lambda e, mu: (e[::-1], mu[::-1])),
        ("", lambda e, mu: (e, mu)),
        ("xx energy", lambda e, mu: (mu, e)),
        ("energy mu_fluor mu_trans", lambda e, mu: (e, 3 * mu, mu)),
        ("energy mu_ref mu(E)", lambda e, mu: (e, 3 * mu, mu)),
        ("point mono_energy xmu", lambda e, mu: (np.arange(len(e)), e, mu)),
        ("energy mu_err i0 it", lambda e, mu: (e, 0 * mu + 3, 0 * mu + 1e5, 1e5 * np.exp(-mu))),
        ("energy mu_avg mu_std", lambda e, mu: (e, mu, 0 * mu)),
        ("energy mu chi_2 k_2", lambda e, mu: (e, mu, 0 * mu, e)),
        ("energy 2theta i0 it", lambda e, mu: (e, 0 * e + 9, 0 * mu + 1e5, 1e5 * np.exp(-mu))),
        ("energy mu (err)", lambda e, mu: (e, mu, 0 * mu)),
        ("E mu i0", lambda e, mu: (e, mu, 0 * mu)),
        ("Energie mu i0", lambda e, mu: (e, mu, 0 * mu)),
        ("eBraggEnergy mu_ref mu", lambda e, mu: (e, 0 * mu, mu)),
        ("energy mu_ref mu\n\nnickel mu spectrum", lambda e, mu: (e, 0 * mu, mu)),  # three words, too
        ("Energy / eV  I0 / nA  I1 / nA", lambda e, mu: (e, 1e5 * np.ones_like(mu), 1e5 * np.exp(-mu))),
        ("Energy(eV)  I0 (N2)  I1 (N2)  I2 (Ar)", lambda e, mu: (e, 1e5 + 0 * mu, 1e5 * np.exp(-mu), 0 * mu + 7)),
        ("Energy,Ring Current,I0,I1,I2", lambda e, mu: (e, 0 * e, 1e5 + 0 * mu, 1e5 * np.exp(-mu), 0 * mu + 7)),
        *(
            (form.format(*range(1, 5)), lambda e, mu: (e, 1e5 + 0 * mu, 0 * mu, mu))
            for form in (
                "Column {}: energy\nColumn {}: i0\nColumn {}: mu_ref\nColumn {}: mu",
                "Column.{}: energy eV\nColumn.{}: i0\nColumn.{}: muref\nColumn.{}: mutrans\n----",
                " Col {} ENERGY DOUBLE\n Col {} I0 DOUBLE\n Col {} MUREF DOUBLE\n Col {} MU DOUBLE",
            )
        ),
        ("energy mu\nE0 = 8333", lambda e, mu: (e, mu)),
        ("nickel\nedge_step 1.2", lambda e, mu: (e, mu)),
        *(
            (f"energy {labels}", lambda e, mu: (e, np.full_like(mu, 1e5), 1e5 * np.exp(-mu)))
            for labels in ("I0(cts) I1(cts)", "i0_counts i1_counts", "ic0 ic1", "monitor trans", "Io It")
        ),
    ],
)
def test_columns_by_their_labels(measured, tmp_path, header, columns):
    group = measured("Ni_foil")
    np.savetxt(tmp_path / "ni.dat", np.transpose(columns(group.energy, group.mu)), header=header)
    (back,) = files.read_groups(tmp_path / "ni.dat")
    np.testing.assert_allclose(back.energy, group.energy)
    np.testing.assert_allclose(back.mu, group.mu)


@pytest.mark.parametrize(
    ("header", "start", "stop", "columns", "sentence"),
    [
        ("energy i0 roi1", 8000, 9000, 3, "none of its columns energy, i0, roi1 is known to be mu: label columns"),
        ("", 8000, 9000, 3, "none of its columns col1, col2, col3 is known to be mu"),
        ("energy i0 if1 if2", 8000, 9000, 4, "none of its columns energy, i0, if1, if2 is known"),
        ("Energy (eV) I0 I1 I2", 8000, 9000, 4, "the last is 'Energy \\(eV\\) I0 I1 I2': label its 4 columns"),
        ("energy i10 i1000", 8000, 9000, 3, "is known to be mu"),
        ("energy mu mu", 8000, 9000, 3, "the last is 'energy mu mu': label its 3 columns, each in one word"),
        ("sample one", 8000, 9000, 3, "the last is 'sample one'"),
        ("k chik", 0, 14, 2, "its first column goes from 0 to 14"),
        ("k chi*k", 0, 14, 2, "its first column goes from 0 to 14"),
        ("point xmu", 1, 400, 2, "its first column goes from 1 to 400"),
        ("", 0, 14, 2, "its first column goes from 0 to 14: label columns of chi\\(k\\) as k and chi"),
        ("energy chi", 0, 14, 2, "its energy column goes from 0 to 14"),
        ("angle mu", 11, 14, 2, "it has no column of energy: convert angle to eV"),
        ("mu theta", 11, 14, 2, "it has no column of energy: convert theta to eV"),
        ("r chir_re chir_im chir_mag", 0, 10, 4, "it has chi\\(R\\): give chi\\(k\\) or mu\\(E\\)"),
        ("energy mu", 8000, 9000, 2, "it has 30 rows, too few for a spectrum"),
        ("energy", 8000, 9000, 1, "it has one column of numbers alone: name a file with columns"),
    ],
)
def test_what_is_energy_and_mu_is_not_guessed(tmp_path, header, start, stop, columns, sentence):
    np.savetxt(tmp_path / "table.dat", np.linspace([start] * columns, [stop] * columns, 30), header=header)
    with pytest.raises(errors.FileError, match=sentence):
        files.read_groups(tmp_path / "table.dat")


def test_angles_of_an_xdi_file_are_no_energies(tmp_path):
    header = (
        "XDI/1.0\nElement.symbol: Cu\nElement.edge: K\nColumn.1: angle degrees\nColumn.2: mutrans\n---\nangle mutrans"
    )
    np.savetxt(tmp_path / "angle.xdi", np.linspace([14, 0], [11, 1], 30), header=header)
    with pytest.raises(errors.FileError, match="it has no column of energy"):
        files.read_groups(tmp_path / "angle.xdi")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty: copy or export"),
        ("no numbers here\n", "it has no rows of numbers: name a file"),
        ("# energy mu\n8900,5 0,12\n8901 0,13\n", "decimal commas: write them with decimal points"),
        ("energy;mu\n8900,5;1,2e-1\n", "decimal commas"),
        ("# XDI/1.0\n", "it has no rows of numbers: name a file"),
        ("# energy mu\n" + ROWS + "8060 nan\n", "mu is no number in 1 of its 61 rows, first at 8060.0 eV: take these"),
        ("# energy i0 i1\n8000 0 1\n" + ROWS.replace(" ", " 1 "), "no number in 1 of its 61 rows, first at 8000.0 eV"),
        ("# energy mu\n" + 2 * ROWS, "its energies start again: write each scan into a file of its own"),
        ("#S 1\n#L energy  mu\n" + ROWS + "#S 2\n#L energy  mu\n" + ROWS, "it has several scans: write each"),
        (None, r"it is a folder: name its files, as in folder/\*\.dat"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, text, sentence):
    path = tmp_path if text is None else tmp_path / "text.dat"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.FileError, match=sentence) as caught:
        files.read_groups(path)
    assert "\n" not in str(caught.value)


def test_columns_with_commas_between_them(tmp_path):
    (tmp_path / "table.csv").write_text("energy,mu\n" + "".join(f"{e},{e - 8000}\n" for e in range(8000, 8100)))
    assert files.read_groups(tmp_path / "table.csv")[0].mu[-1] == 99


@pytest.mark.parametrize(("name", "encoding"), [("ni.xdi", "utf-8"), ("ni.xdi.gz", "utf-8"), ("ni.dat", "utf-16")])
@pytest.mark.parametrize("spacing", ["3.1356", "3.1356 Å"])  # with a unit, Larch's reader of XDI gives up
def test_what_an_xdi_header_says_is_read_however_it_is_written(measured, tmp_path, name, encoding, spacing):
    group = measured("Ni_foil")
    sections = f"# Element.symbol: Ni\n# Element.edge: K\n# Sample.stoichiometry: Ni\n# Mono.d_spacing: {spacing}\n"
    text = f"# XDI/1.0\n{sections}# Column.1: energy eV\n# Column.2: mutrans\n# ---\n# {'remark ' * 30}\n"
    text += "".join(f"{e:.3f} {mu:.9g}\n" for e, mu in zip(group.energy, group.mu, strict=True))
    (tmp_path / name).write_bytes((gzip.compress if name.endswith("gz") else bytes)(text.encode(encoding)))
    (back,) = files.read_groups(tmp_path / name)
    np.testing.assert_allclose(back.mu, group.mu, rtol=1e-8)
    answer = predict_cn(files.process(back))
    assert (answer.element, answer.composition, answer.cn) == ("Ni", "Ni", 12)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("energy i0 itrans ifluor", True),
        ("energy i0 mutrans mufluor", True),
        ("energy i0 mu_trans mufluor", True),
        ("energy i0 mu mufluor", False),
        ("energy i0 itrans irefer", False),
    ],
)
def test_of_transmission_and_fluorescence_the_first_is_read_and_that_is_said(measured, tmp_path, capsys, labels, said):
    foil = measured("Ni_foil")
    other = np.where(foil.energy > foil.e0, 9.0, 1.0)  # nothing that anybody could read
    first = 1e5 * np.exp(-foil.mu) if "itrans" in labels else foil.mu
    rows = np.transpose([foil.energy, np.full_like(foil.mu, 1e5), first, other])
    np.savetxt(tmp_path / "both.dat", rows, header=labels)
    assert cli.main(["predict", str(tmp_path / "both.dat")]) == 0
    printed = capsys.readouterr().out
    assert " 12 " in printed
    assert ("read as transmission" in printed) is said


def test_mu_that_falls_at_the_edge_is_no_absorption(measured, tmp_path):
    group = measured("Ni_foil")
    data = group.energy, 1e5 + 0 * group.mu, 1e5 * np.exp(-group.mu)
    np.savetxt(tmp_path / "ni.dat", np.transpose(data), header="energy i1 i0")
    with pytest.raises(errors.FileError, match="mu falls at the edge, and chi has the wrong sign: is it ln"):
        files.process(files.read_groups(tmp_path / "ni.dat")[0])
    falling = Group(energy=group.energy, mu=-group.mu)
    pre_edge(falling, e0=group.e0)
    autobk(falling, rbkg=1, kweight=2)
    xftf(falling, kmin=3, kmax=12, kweight=2, dk=1, window="hanning")
    assert predict_cn(falling).reason.startswith("mu falls at the edge")


def test_spectra_of_a_project_that_have_one_label_are_not_lost(measured, tmp_path):
    groups = measured("Cu_foil"), measured("Ni_foil")
    for group, name in zip(groups, ("scan.1", "scan-1"), strict=True):  # one name, as Larch's
        group.groupname = group.filename = group.label = name
    path = athena(tmp_path / "two.prj", *groups)
    with pytest.raises(errors.FileError, match="it has 2 spectra, of which Larch reads 1: give"):
        files.read_groups(path)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_name_that_is_no_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.dat")
    shutil.copy(FOIL, tmp_path / name)
    table = tmp_path / "table.csv"
    assert cli.main(["predict", str(tmp_path / name), "--csv", str(table)]) == 0
    assert next(csv.DictReader(table.open(encoding="utf-8")))["file"].endswith("caf?.dat")


@pytest.mark.parametrize("end", [8.6, 9.95, 10.1])
def test_a_transform_to_the_end_of_the_data_is_the_groups_own(measured, end):
    group = measured("Ni_foil")
    del group.r, group.chir_mag
    group.k, group.chi = group.k[group.k < end + 0.01], group.chi[group.k < end + 0.01]
    assert not [note for note in predict_cn(files.process(group)).notes if "a copy of k and chi" in note]
    group.k[-1] += 2e-15
    xftf(group, kmax=group.k[-1], kweight=2, kmin=3, dk=1, window="hanning")
    assert not [note for note in predict_cn(group).notes if "a copy of k and chi" in note]


@pytest.mark.parametrize("header", ["k chi", "k(A^-1) chi(k)"])
def test_k_and_chi_columns(measured, tmp_path, header):
    group = measured()
    np.savetxt(tmp_path / "chi.dat", np.transpose((group.k, group.chi)), header=header)
    (back,) = files.read_groups(tmp_path / "chi.dat")
    assert read_spectrum(files.process(back), Request(element="Cu")).kmax == 12
    more = np.transpose((group.k, group.chi, group.k, group.chi))
    np.savetxt(tmp_path / "more.dat", more, header=f"{header.replace(' ', '  ')}  r  chir_mag")
    np.testing.assert_array_equal(files.read_groups(tmp_path / "more.dat")[0].chi, back.chi)


def test_k_may_descend_or_begin_with_a_small_step(measured, tmp_path):
    group = measured("Cu_foil")
    steps = np.concatenate([[0.005], 0.05 * np.arange(1, 300)])
    for k in (group.k[::-1], steps[steps < group.k[-1]]):
        np.savetxt(tmp_path / "chi.dat", np.transpose((k, np.interp(k, group.k, group.chi))), header="k chi")
        (back,) = files.read_groups(tmp_path / "chi.dat")
        assert predict_cn(files.process(back), element="Cu").cn == 12


def test_table_and_csv(project, session, measured, tmp_path, capsys):
    table = tmp_path / "table.csv"
    paths = [str(path) for path in (OXIDE, project, session, tmp_path / "missing.dat")]
    assert cli.main(["predict", *paths, "--csv", str(table)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == list(cli.SHOWN)
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert list(rows[0]) == ["file", "group", *predict_cn(measured()).row()]
    assert [row["absorber"] for row in rows] == ["Cu K", "Cu K", "Ni K", "Cu K", "Ni K", ""]
    for row in rows[:5]:
        assert row["cn"] in row["cn_set"].split()
        assert 0 < float(row["p"]) <= 1
        assert any(row["group"] in line and f" {row['cn']} " in line for line in printed)
    assert "there is no such file" in rows[5]["notes"]
    assert any("there is no such file" in line for line in printed)
    assert "transformed" in rows[3]["notes"]


def test_csv_is_printed_where_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["predict", str(FOIL), "none.dat", "--csv", "-"]) == 0
    foil, missing = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (foil["cn"], missing["notes"]) == ("12", "none.dat: there is no such file.")
    assert cli.main(["predict", "none.dat", "--csv", "-"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "file,group,notes"
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_room_on_a_terminal(project, monkeypatch, capsys):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["predict", FOIL.name, OXIDE.name, "none.dat"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [name for name in cli.SHOWN if name != "group"]
    assert max(map(len, lines)) <= 100
    answer = predict_cn(files.process(files.read_groups(FOIL)[0]))
    columns = re.split(r" {2,}", lines[1].strip())
    assert columns == [FOIL.name, "Cu K", "12", f"{answer.p:.2f}", "12", answer.mean_text, "one site", "ok"]
    assert cli.main(["predict", str(project)]) == 0
    assert capsys.readouterr().out.split()[:2] == ["file", "group"]


def test_what_qualifies_an_answer_is_printed(capsys):
    hidden, shown = "the first peak is low", "the answer depends on it: CN 4 with e0 = 1 eV, CN 6 with e0 = 2 eV"
    header = "the header's Sample.stoichiometry was not used: it cannot be read"
    cli._print_table(
        [
            {"file": "", "group": "one", "verdict": "ok", "notes": f"{hidden}; {shown}; {header}"},
            {"file": "", "group": "two", "verdict": "ok", "notes": hidden},
            {"file": "", "group": "three", "verdict": "undecided", "notes": hidden},
            {"file": "", "group": "four", "verdict": "several", "notes": ""},
        ]
    )
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split()[-1] for line in printed if "  " in line] == ["verdict", "ok", "ok", "undecided", "several"]
    assert [line for line in printed if "  " not in line] == [f"{shown}; {header}", hidden]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--formula", "Na2CrO4"], "--formula Na2CrO4 has no Cu"),
        (["--elements", "Xx y"], "--elements 'Xx y' cannot be read: write them as in --elements 'Na Cr O'"),
        (["--formula", "?"], "--formula '?' cannot be read: write it as in --formula Na2CrO4"),
        (["--element", "Xq"], "--element Xq must be an element"),
        (["--reference", "85"], "--reference 85.0 must be a file of a foil, or an s02 from 0.4 to 1.2"),
    ],
)
def test_advice_is_in_options_not_in_python(options, sentence, tmp_path, capsys):
    table = tmp_path / "table.csv"
    assert cli.main(["predict", str(FOIL), *options, "--csv", str(table)]) == 1
    assert sentence in "".join(capsys.readouterr())
    if table.exists():
        assert sentence in table.read_text(encoding="utf-8")


def test_an_absorber_that_is_not_known_is_to_be_given_as_an_option(measured, tmp_path, capsys):
    group = measured()
    np.savetxt(tmp_path / "chi.dat", np.transpose((group.k, group.chi)), header="k chi")
    assert cli.main(["predict", str(tmp_path / "chi.dat")]) == 1
    assert "pass it, as in --element Fe." in capsys.readouterr().out


def test_help_names_columns_and_models(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "columns labelled energy and mu (or i0 and i1, it or ifluor, or k and chi)" in said
    assert all(name in said.split("--model MODEL")[-1] for name in ("default", *models.load_models().families))


@pytest.mark.feff
def test_a_reference_is_a_number_or_a_file(project, tmp_path, capsys):
    notes = {}
    for given in ("0.9", str(FOIL)):
        table = tmp_path / f"{len(notes)}.csv"
        assert cli.main(["predict", str(FOIL), "--reference", given, "--csv", str(table)]) == 0
        notes[given] = next(csv.DictReader(table.open(encoding="utf-8")))["notes"]
    assert notes["0.9"].startswith("with s02 = 0.90; with nothing told")
    assert re.match(r"with s02 = 0\.(8[6-9]|9\d); with nothing told", notes[str(FOIL)])
    capsys.readouterr()
    for given, said in ((project, "it has 2 spectra: name a file of the foil alone"), ("2", "an s02 from 0.4 to 1.2")):
        assert cli.main(["predict", str(FOIL), "--reference", str(given)]) == 1
        assert said in capsys.readouterr().err
    assert cli.main(["predict", str(FOIL), "--reference", str(tmp_path / "none.dat")]) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_samples_that_are_known_to_be_one_site(tmp_path):
    p = []
    for option in ([], ["--one-site"]):
        table = tmp_path / f"{len(p)}.csv"
        assert cli.main(["predict", str(FOIL), *option, "--csv", str(table)]) == 0
        p.append(float(next(csv.DictReader(table.open(encoding="utf-8")))["p"]))
    assert p[0] < p[1] < 1


def test_nothing_worked_is_a_nonzero_status(tmp_path, capsys):
    noise = tmp_path / "noise.dat"
    noise.write_text("# energy mu\n" + "".join(f"{e} 1.0\n" for e in range(7000, 8000)))
    text = tmp_path / "text.dat"
    text.write_text("no numbers here\n")
    assert cli.main(["predict", str(noise), str(text)]) == 1
    out = capsys.readouterr().out
    assert str(noise) in out
    assert "it has no rows of numbers" in out
    assert cli.main(["predict", str(FOIL), "--element", "Pt"]) == 1
    assert "is Pt" in capsys.readouterr().out


def test_csv_does_not_overwrite(tmp_path, capsys):
    data, table = tmp_path / "foil.dat", tmp_path / "table.csv"
    shutil.copy(FOIL, data)
    table.write_text("mine")
    assert cli.main(["predict", str(data), "--csv", str(table)]) == 1
    assert "it exists" in capsys.readouterr().err
    assert cli.main(["predict", str(data), "--csv", str(data), "--overwrite"]) == 1
    assert data.read_bytes() == FOIL.read_bytes()
    assert table.read_text() == "mine"
    assert cli.main(["predict", str(data), "--csv", str(table), "--overwrite"]) == 0
    assert table.read_text().startswith("file,group")


def test_a_table_that_cannot_be_written_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "read_groups", lambda path: pytest.fail("data were read"))
    for table, sentence in (
        (tmp_path / "none" / "table.csv", "its folder is not there: make it first"),
        (tmp_path, "it is a folder"),
        (FOIL / "table.csv", "its folder is not there"),
    ):
        assert cli.main(["predict", str(FOIL), "--csv", str(table), "--overwrite"]) == 1
        assert capsys.readouterr().err.startswith(f"larch-cnpredict: {table}: {sentence}")


def test_a_picture_of_the_series(tmp_path, capsys):
    picture, table = tmp_path / "series.png", tmp_path / "table.csv"
    files_and_table = ["predict", str(FOIL), str(OXIDE), str(tmp_path / "none.dat"), "--csv", str(table)]
    assert cli.main([*files_and_table, "--series", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(list(csv.DictReader(table.open(encoding="utf-8")))) == 3
    assert cli.main(["predict", str(FOIL), "--series", str(picture), "--overwrite", "--x", "pressure"]) == 1
    assert "The series has no 'pressure'" in capsys.readouterr().err


def test_what_no_scan_has_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict, "predict_cn", lambda *given, **asked: pytest.fail("spectra were predicted"))
    assert cli.main(["predict", str(FOIL), str(OXIDE), "--series", str(tmp_path / "s.png"), "--x", "pressure"]) == 1
    assert "The series has no 'pressure'" in capsys.readouterr().err


def test_what_the_picture_remarks_is_said(tmp_path, capsys, monkeypatch):
    remark = "Shares are of the most different scans."
    monkeypatch.setattr(series, "found", lambda groups, *_: (series.cn_series(groups), remark))
    picture = tmp_path / "series.png"
    assert cli.main(["predict", str(FOIL), "--series", str(picture)]) == 0
    assert f"{picture}: {remark}" in capsys.readouterr().err


def test_a_picture_of_nothing_is_said(tmp_path, capsys):
    picture = tmp_path / "series.png"
    assert cli.main(["predict", str(tmp_path / "none.dat"), "--series", str(picture)]) == 1
    assert f"{picture} is not written: no spectrum worked" in capsys.readouterr().err
    assert not picture.exists()


def test_what_failed_is_in_no_picture(measured, tmp_path, capsys):
    paths = [shutil.copy(FOIL, tmp_path / f"scan_{i}.dat") for i in (1, 2)]
    nickel = measured("Ni_foil")
    np.savetxt(tmp_path / "scan_3.dat", np.transpose([nickel.energy, nickel.mu]), header="energy mu")
    rows, groups = cli.predict_files([*paths, tmp_path / "scan_3.dat"], formula="Cu")
    assert "formula='Cu' has no Ni" in rows[2]["notes"]
    assert [group.cn_predict.element for group in groups] == ["Cu", "Cu"]


def test_no_measured_foil_is_written_over(tmp_path, capsys):
    foil = shutil.copy(FOIL, tmp_path / "foil.dat")
    before = foil.read_bytes()
    assert cli.main(["predict", str(OXIDE), "--reference", str(foil), "--csv", str(foil), "--overwrite"]) == 1
    assert "it is one of the other files" in capsys.readouterr().err
    assert foil.read_bytes() == before


def test_a_console_without_angstroms_has_the_card_too():
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-m", "larch_cnpredict.cli", "info"], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Intended use" in done.stdout


def test_an_init_file_that_cannot_be_written_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(larch_hooks, "init_file", lambda: tmp_path / "file" / "larch" / "init.lar")
    assert cli.main(["install"]) == 1
    assert "init.lar: it cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_picture_that_cannot_be_drawn_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "read_groups", lambda path: pytest.fail("data were read"))
    mine, new = tmp_path / "mine.png", tmp_path / "new.png"
    mine.write_text("mine")
    for options, sentence in (
        (["--series", str(mine)], "it exists"),
        (["--series", str(tmp_path / "series.xyz")], "it is no picture: end its name in one of"),
        (["--series", str(tmp_path / "series")], "it is no picture"),
        (["--series", str(new), "--csv", str(new)], "it is one of the other files"),
        (["--series", str(FOIL), "--overwrite"], "it is one of the other files"),
        (["--x", "time"], "name a file for it with --series FILE.png"),
    ):
        assert cli.main(["predict", str(FOIL), *options]) == 1
        assert sentence in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert not new.exists()


def test_a_table_holds_no_formulas(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FOIL, "=1+1.dat")
    assert cli.main(["predict", "=1+1.dat", "=no.dat", "--csv", "table.csv"]) == 0
    with open("table.csv", encoding="utf-8") as file:
        foil, missing = csv.DictReader(file)
    assert (foil["file"], foil["group"], missing["file"]) == ("'=1+1.dat", "'=1+1.dat", "'=no.dat")
    assert missing["notes"] == "'=no.dat: there is no such file."
    assert foil["cn_mean"] == str(float(foil["cn_mean"]))


def test_background_settings_of_an_athena_project(measured, tmp_path):
    group = measured("CuO")
    autobk(group, rbkg=1.3, kmin=0.5, kmax=12.5, kweight=3, clamp_lo=2, clamp_hi=20)
    path = athena(tmp_path / "one.prj", group)
    (wanted,) = read_athena(str(path), do_bkg=True).groups.values()
    (ours,) = files.read_groups(path)
    files.process(ours)
    np.testing.assert_array_equal(ours.chi, wanted.chi)
    usual = Group(energy=ours.energy, mu=ours.mu)
    autobk(usual, rbkg=1.3)
    assert np.abs(np.interp(ours.k, usual.k, usual.chi) - ours.chi).max() > 0.01


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "larch_cnpredict.cli", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        run.stdout.close()  # before Python has started
        assert run.stderr
        assert run.stderr.read() == ""


def test_unknown_model(capsys):
    assert cli.main(["predict", str(FOIL), "--model", "oracle"]) == 1
    assert "--model oracle is not one of 'default'" in "".join(capsys.readouterr())


def test_install_info_uninstall(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("larch.site_config.init_files", [str(tmp_path / "init.lar")])
    assert cli.main(["install"]) == 0
    assert larch_hooks.is_installed()
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert "init.lar loads it" in out
    assert models.card_text().strip() in out
    assert cli.main(["uninstall"]) == 0
    assert cli.main(["uninstall"]) == 0
    assert "nothing to take out" in capsys.readouterr().out
    cli.main(["info"])
    assert "does not load it" in capsys.readouterr().out


def test_as_a_program():
    run = subprocess.run([sys.executable, "-m", "larch_cnpredict.cli", "--version"], capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stdout.startswith("larch-cnpredict ")


def test_the_table_has_the_name_as_the_user_wrote_it(tmp_path):
    path = tmp_path / "it's \\1.dat"
    shutil.copy(FOIL, path)
    (row,), _ = cli.predict_files([path])
    assert (row["group"], row["cn"]) == (path.name, 12)
