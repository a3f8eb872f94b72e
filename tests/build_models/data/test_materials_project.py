"""The real MPRester against a Materials Project of our own, whose documents come from our own FEFF8L runs."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pyarrow.parquet as pq
import pytest
from larch import Group
from larch.xafs import xftf

from build_models.__main__ import main
from build_models.config import BuildError, FeffSettings
from build_models.data import feff, materials_project, sources, structures, table
from build_models.data.materials_project import RejectedDocument, chi_from_mu, read_document
from build_models.spectra import dataset
from larch_cnpredict.features import K_GRID
from tests.build_models.crystals import crystals

KEY = "a" * 32
SITES = {"mp-30": 0, "mp-13": 0, "mp-19009": 0, "mp-18748": 0, "mp-2657": 0}


@pytest.fixture(scope="module")
def spectra() -> dict[str, np.ndarray]:
    """xmu.dat of each crystal: energy, E - E0, k, mu, mu0, chi."""
    found = {}
    for name, site in SITES.items():
        with feff.scratch_folder() as folder:
            feff.run_chain(folder, feff.feff_input(crystals()[name], site, FeffSettings(kmax=20)), 60)
            found[name] = np.loadtxt(folder / "xmu.dat")
    return found


def document(spectra: dict[str, np.ndarray], name: str, task_id: str | None = None) -> dict:
    crystal = crystals()[name]
    absorber = crystal[SITES[name]].specie.symbol
    spectrum = {
        "@module": "pymatgen.analysis.xas.spectrum", "@class": "XAS", "x": spectra[name][:, 0].tolist(),
        "y": spectra[name][:, 3].tolist(), "structure": crystal.as_dict(), "absorbing_element": absorber,
        "edge": "K", "spectrum_type": "EXAFS", "absorbing_index": SITES[name],
    }  # fmt: skip
    return {
        "task_id": task_id or name, "spectrum": spectrum, "absorbing_element": absorber, "edge": "K",
        "spectrum_type": "EXAFS", "elements": sorted({site.specie.symbol for site in crystal}),
    }  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers as api.materialsproject.org does; `faults` are played before the answers, one for each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.xas: list[dict] = []
        self.summary: list[dict] = []
        self.faults: list[str] = []
        self.requests: list[dict] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path.strip("/") == "heartbeat":
            info = {"db_version": "2025.09.25", "version": "0.87.3", "access_controlled_batch_ids": []}
            return self.answer(200, info)
        self.server.requests.append(query)
        if self.headers["x-api-key"] != KEY:
            return self.answer(401, {"detail": "Invalid authentication credentials"})
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault == "429":
            return self.answer(429, {"detail": "slow down"}, {"Retry-After": "0"})
        if fault == "null":
            return self.answer(200, None)
        if fault == "500":
            return self.answer(500, {"detail": "Internal Server Error"})
        found = self.select(self.server.xas if "xas" in url.path else self.server.summary, query)
        skip, limit = int(query.get("_skip", 0)), int(query.get("_limit", 100))
        page = found[skip : skip + limit]
        if fault == "one missing":
            page = page[:-1]
        if "_fields" in query:
            page = [{field: row[field] for field in query["_fields"].split(",")} for row in page]
        body = {"data": page, "meta": {"total_doc": len(found)}}
        return self.answer(200, body, cut=fault == "cut")

    @staticmethod
    def select(rows: list[dict], query: dict) -> list[dict]:
        for key in ("task_ids", "material_ids"):
            if key in query:
                rows = [row for row in rows if row[key[:-1]] in query[key].split(",")]
        for key in ("absorbing_element", "edge", "spectrum_type"):
            if key in query:
                rows = [row for row in rows if row.get(key) == query[key]]
        if "elements" in query:
            rows = [row for row in rows if set(query["elements"].split(",")) <= set(row["elements"])]
        return rows

    def answer(self, status: int, content: dict | None, headers: dict | None = None, cut: bool = False):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut


@pytest.fixture
def server(monkeypatch):
    server = Server()
    while "422" in server.url or "414" in server.url:  # in any error, whose text has the URL, the client takes these
        server.server_close()  # for the status of too long a query, and asks once more by itself
        server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    monkeypatch.setattr(materials_project, "WAITS", (0.01, 0.01))
    yield server
    server.shutdown()
    server.server_close()


def downloads(server: Server) -> list[str]:
    return [query["task_ids"] for query in server.requests if "task_ids" in query]


def documents(out: Path) -> list[dict]:
    """All that the cache holds."""
    read = map(materials_project.read_file, materials_project.cached_files(out))
    return [document for content in read for document in content["documents"]]


@pytest.mark.feff
def test_listings_are_paged_and_a_download_survives_a_bad_hour(server, spectra, make_config):
    server.xas = [document(spectra, "mp-13", f"mp-{i}") for i in range(1, 1011)]
    config = make_config(run={"limit": 250}, source={"elements": ["Fe"], "way": "xas"})
    server.faults = ["", "", "429", "cut", "500", "", "cut"]
    materials_project.fetch(config)
    pages = [query for query in server.requests if query.get("_fields") == "task_id"]
    assert [query.get("_skip", "0") for query in pages] == ["0", "1000"]
    assert len(documents(config.out)) == 250
    ids = {document["task_id"] for document in documents(config.out)}
    assert len(ids) == 250


@pytest.mark.feff
def test_a_broken_download_goes_on_where_it_stopped(server, spectra, make_config, monkeypatch):
    server.xas = [document(spectra, "mp-13", f"mp-{i}") for i in range(1, 8)]
    monkeypatch.setattr(materials_project, "BATCH", 3)
    config = make_config(source={"elements": ["Fe"], "way": "xas"})
    server.faults = ["", ""] + ["500"] * 3
    with pytest.raises(BuildError, match="does not answer, try again later"):
        materials_project.fetch(config)
    first = len(server.requests)
    materials_project.fetch(config)
    assert len(server.requests) - first == 2  # the second and the third batch; neither the listing nor the first
    assert len(downloads(server)) == 1 + 3 + 2
    assert len(documents(config.out)) == 7
    materials_project.fetch(config)
    assert len(server.requests) - first == 2


@pytest.mark.feff
def test_a_document_that_did_not_come_is_asked_for_again_and_a_failure_until_then(server, spectra, make_config):
    server.xas = [document(spectra, "mp-13", f"mp-{i}") for i in range(1, 4)]
    config = make_config(source={"elements": ["Fe"], "way": "xas"})
    server.faults = ["", "one missing"]

    def outcome() -> dict[str, str]:
        for stage in (materials_project.fetch, materials_project.convert, table.build):
            stage(config)
        good = dict.fromkeys(pq.read_table(config.out / "spectra.parquet")["material_id"].to_pylist(), "")
        return good | {
            r["material_id"]: r["reason"] for r in pq.read_table(config.out / "failures.parquet").to_pylist()
        }

    assert outcome() == {"mp-1": "", "mp-2": "", "mp-3": "listed, but not delivered"}
    first = len(downloads(server))
    assert outcome() == {"mp-1": "", "mp-2": "", "mp-3": ""}
    assert downloads(server)[first:] == ["mp-3"]


@pytest.mark.feff
def test_documents_are_converted_once_by_many_processes_and_a_conversion_that_was_cut_goes_on(
    server, spectra, make_config, monkeypatch
):
    server.xas = [document(spectra, "mp-13", f"mp-{i}") for i in range(1, 6)]
    monkeypatch.setattr(materials_project, "BATCH", 2)
    source = {"elements": ["Fe"], "way": "xas"}
    config = make_config(run={"workers": 1}, source=source)
    materials_project.fetch(config)
    converted = []

    def cut(one: dict):
        converted.append(one["task_id"])
        if len(converted) == 4:
            raise KeyboardInterrupt
        return read_document(one)

    monkeypatch.setattr(materials_project, "read_document", cut)
    with pytest.raises(KeyboardInterrupt):
        materials_project.convert(config)
    for _ in ("label", "simulate"):
        materials_project.convert(config)
    assert converted == ["mp-1", "mp-2", "mp-3", "mp-4", "mp-3", "mp-4", "mp-5"]
    monkeypatch.undo()
    rows = pq.read_table(table.build(config)).to_pylist()
    shutil.rmtree(config.out / "label")
    shutil.rmtree(config.out / "simulate")
    materials_project.convert(make_config(run={"workers": 2}, source=source))
    assert pq.read_table(table.build(config)).to_pylist() == rows
    assert len(rows) == 5


@pytest.mark.feff
@pytest.mark.parametrize("name", ["mp-30", "mp-2657"])
def test_points_too_far_apart_are_refused(spectra, name):
    resampled = document(spectra, name)  # as the mean of several sites is: 200 points linear in energy
    energy, mu = (np.array(resampled["spectrum"][axis]) for axis in "xy")
    even = np.linspace(energy[0], energy[-1], 200)
    resampled["spectrum"] |= {"x": even.tolist(), "y": np.interp(even, energy, mu).tolist(), "absorbing_index": None}
    with pytest.raises(RejectedDocument, match="points too far apart for distances up to 6 Å"):
        read_document(resampled)


def test_an_answer_that_is_none_is_one_sentence(server, tmp_path, capsys):
    server.faults = ["500", "null", "null", "null"]
    assert main(["fetch", "--way", "xas", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("build_models: what comes of the Materials Project, or its client, mp-api ")
    assert ", is not understood: " in said
    assert server.faults == ["null"]  # once more, and no patience with what waiting does not mend
    server.faults = ["null"]
    assert main(["fetch", "--way", "xas", "--out", str(tmp_path)]) == 0


def test_the_newest_database_is_by_number(tmp_path):
    for name in ("2023.11.9", "2023.11.10", "2023.2.30", "2023.11.10.post"):
        (tmp_path / "mp" / name / "xas").mkdir(parents=True)
    assert table.database(tmp_path, "xas") == "2023.11.10.post"
    (tmp_path / "mp" / "2023.11.10.post" / "xas").rmdir()
    assert table.database(tmp_path, "xas") == "2023.11.10"
    with pytest.raises(FileNotFoundError, match="no summary documents yet"):
        table.database(tmp_path, "summary")


def test_a_missing_or_refused_key_is_one_sentence(server, tmp_path, monkeypatch, capsys):
    from pymatgen.core import SETTINGS

    monkeypatch.delitem(SETTINGS, "PMG_MAPI_KEY", raising=False)
    arguments = ["fetch", "--way", "xas", "--out", str(tmp_path)]
    monkeypatch.setenv("MP_API_KEY", "b" * 32)
    assert main(arguments) == 1
    assert "refuses the key in MP_API_KEY; https://next-gen" in capsys.readouterr().err
    assert len(server.requests) == 1
    monkeypatch.setenv("MP_API_KEY", "too short")
    assert main(arguments) == 1
    assert "refuses the key" in capsys.readouterr().err
    monkeypatch.delenv("MP_API_KEY")
    assert main(arguments) == 1
    assert "needs a key: set MP_API_KEY" in capsys.readouterr().err


@pytest.mark.feff
def test_documents_become_rows_and_each_rejected_one_a_reason(server, spectra, tmp_path, capsys):
    torn = document(spectra, "mp-30", "mp-31")
    del torn["spectrum"]["x"]
    short = document(spectra, "mp-30", "mp-32")
    short["spectrum"] |= {"x": short["spectrum"]["x"][:50], "y": short["spectrum"]["y"][:50]}
    mean = document(spectra, "mp-18748")  # magnetite: 4 and 6 neighbours
    mean["spectrum"]["absorbing_index"] = None
    nickel = document(spectra, "mp-19009", "mp-aaaboscc")
    nickel["spectrum"]["y"][:3] = [-1e-3, 0.0, 1e-3]  # the document model would clip these
    server.xas = [document(spectra, "mp-30"), torn, short, mean, nickel]
    options = ["--way", "xas", "--out", str(tmp_path)]
    for stage in ("fetch", "label", "simulate", "table"):
        assert main([stage, *options]) == 0
    raw = {d["task_id"]: d["spectrum"] for d in documents(tmp_path)}
    assert raw["mp-aaaboscc"]["y"][:3] == [-1e-3, 0.0, 1e-3]
    rows = pq.read_table(tmp_path / "spectra.parquet").to_pylist()
    assert {(row["material_id"], row["absorber"], row["cn"]) for row in rows} == {
        ("mp-30", "Cu", 12), ("mp-715262", "Ni", 6)}  # fmt: skip
    failures = {row["material_id"]: row["reason"] for row in pq.read_table(tmp_path / "failures.parquet").to_pylist()}
    assert failures == {
        "mp-31": "not a valid document: KeyError",
        "mp-32": "fewer than 100 points",
        "mp-18748": "several inequivalent sites",
    }
    assert "3 sites failed (60.00%)" in capsys.readouterr().out
    said = table.provenance(tmp_path / "spectra.parquet")
    assert (said["database"], said["rows"]) == ("2025.09.25", 2)
    assert said["program"].startswith("FEFF of the Materials Project")
    assert said["config"]["feff"] == materials_project.FEFF_CARDS
    assert said["config"]["source"]["way"] == "xas"
    data = dataset.load([tmp_path / "spectra.parquet"])  # FEFF's thermal variants are not there: training makes its own
    at_peak = np.abs(data.variants[:, :, 60:200]).max(2)
    assert (np.diff(at_peak[:, [1, 2, 3, 4, 5, 0]], axis=1) > 0).all()


@pytest.mark.feff
@pytest.mark.parametrize("name", SITES)
def test_chi_from_mu_is_feff_s_own_chi(spectra, name):
    energy, _, k, mu, _, chi = spectra[name].T
    transformed = []
    for values in (np.interp(K_GRID, k, chi), chi_from_mu(energy, mu)):
        group = Group(k=K_GRID, chi=values)
        xftf(group, kmin=3, kmax=12, dk=1, kweight=2, window="hanning")
        transformed.append(group.chir_mag[(group.r >= 1) & (group.r <= 4)])
    expected, found = transformed
    assert np.linalg.norm(found - expected) < 0.12 * np.linalg.norm(expected)


@pytest.mark.feff
def test_a_spectrum_of_one_of_several_sites_has_no_label(spectra):
    with pytest.raises(RejectedDocument, match="several inequivalent sites"):
        read_document(document(spectra, "mp-18748"))


def test_structures_come_by_element_and_are_kept(server, make_config, tmp_path):
    for name, crystal in crystals().items():
        elements = sorted({site.specie.symbol for site in crystal})
        server.summary.append({"material_id": name, "elements": elements, "structure": crystal.as_dict()})
    server.summary.append({"material_id": "mp-7", "elements": ["Fe"], "structure": None})
    config = make_config(source={"kind": "mp"})
    path = sources.fetch(config)
    assert {row["material_id"] for row in structures.iterate(path)} == set(crystals())
    (failure,) = pq.read_table(config.out / "unreadable.parquet").to_pylist()
    assert (failure["material_id"], failure["reason"]) == ("mp-7", "no structure in the document")
    assert pq.read_schema(path).metadata[b"database"] == b"2025.09.25"
    path.unlink()
    first = len(server.requests)
    sources.fetch(config)
    assert not [query for query in server.requests[first:] if "material_ids" in query]


@pytest.mark.parametrize("limit", [0, 2])
def test_a_structure_that_did_not_come_is_asked_for_again_and_a_failure_until_then(server, make_config, limit):
    for name, crystal in [*crystals().items()][:3]:
        elements = sorted({site.specie.symbol for site in crystal})
        server.summary.append({"material_id": name, "elements": elements, "structure": crystal.as_dict()})
    config = make_config(source={"kind": "mp", "elements": ["Cu", "Fe", "Ni"]}, run={"limit": limit})
    server.faults = ["", "", "", "one missing"]
    assert len([*structures.iterate(sources.fetch(config))]) == 2
    (failure,) = pq.read_table(config.out / "unreadable.parquet").to_pylist()
    assert failure["reason"] == "listed, but not delivered"
    assert len([*structures.iterate(sources.fetch(config))]) == (limit or 3)
    assert pq.read_table(config.out / "unreadable.parquet").num_rows == 0
    first = len(server.requests)
    sources.fetch(config)
    assert len(server.requests) == first
