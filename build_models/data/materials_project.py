"""The Materials Project through its own client: structures, and the XAS documents of the paper.

Documents are kept as they came, by database version, in files of `BATCH` each: a download that was cut goes on
with the first file that is missing.
"""

import gzip
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import requests
from larch import Group
from larch.xafs import autobk
from larch.xafs.xafsutils import KTOE
from pymatgen.core import SETTINGS, Element, Structure
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from build_models.config import BuildError, Config, ConfigError
from build_models.data import labels, table, work
from build_models.data.structures import normal_id, to_row, work_order
from larch_cnpredict.features import ELEMENTS, K_GRID, KMAX_RANGE, R_MAX, TRANSFORM

log = logging.getLogger(__name__)

BATCH = 100
WAITS = (2.0, 5.0, 15.0, 60.0, 180.0)  # s before a request that failed is made again
TRIPPED = (AttributeError, KeyError, TypeError)  # what the client raises over an answer that it does not understand
KEY_PAGE = "https://next-gen.materialsproject.org/api"
# What FEFF was told, by pymatgen's MPEXAFSSet: no Debye-Waller factor.
FEFF_CARDS = {"rpath": 10.0, "scf_radius": 4.5, "kmax": 20.0, "debye_temperatures": []}
NOT_DELIVERED = "listed, but not delivered"
REJECTED = -1  # site_index of a document that is rejected as a whole, minus the absorber's atomic number


class RejectedDocument(Exception):
    """A document that gives no row of the table; the message is the reason that is counted."""


def structures(config: Config) -> Iterator[dict]:
    """Structures of the summary endpoint that hold one of the elements, in the order of work."""
    source = config.source
    with _client() as client:
        search = client.materials.summary.search
        sites = (1, source.max_atoms)
        rows: dict[str, dict] = {}
        for element in tqdm(source.elements, desc="ids"):
            query = {"elements": [element], "num_sites": sites, "deprecated": False, "fields": ["material_id"]}
            for document in _patiently(partial(search, **query)):
                rows.setdefault(normal_id(document["material_id"]), {"species": ""})["species"] += f" {element}"
        ids = work_order(rows, config.order, config.seed, source.elements)
        folder = config.out / "mp" / client.db_version / "summary"
        get = partial(search, fields=["material_id", "structure"])
        for document in _cached(folder, ids, get, client.db_version, "material_ids"):
            material_id = normal_id(document["material_id"])
            if document.get("structure"):
                yield to_row(material_id, Structure.from_dict(document["structure"]))
            else:
                yield table.failure(material_id, document.get("reason", "no structure in the document"))


def fetch(config: Config) -> Path:
    """Download the K-edge EXAFS documents of every absorber into the cache; its folder."""
    elements = config.source.elements
    with _client() as client:
        search = client.materials.xas.search
        folder = config.out / "mp" / client.db_version / "xas"
        for element in elements:
            query = {"edge": "K", "spectrum_type": "EXAFS", "absorbing_element": element}
            listing = folder / element / "ids.json"
            if not listing.exists():
                documents = _patiently(partial(search, **query, fields=["task_id"]))
                with table.replacing(listing) as temporary:
                    temporary.write_text(json.dumps(sorted({str(document["task_id"]) for document in documents})))
            ids = json.loads(listing.read_text())
            if config.limit:
                ids = ids[: -(-config.limit // len(elements))]
            downloads = _cached(folder / element, ids, partial(search, **query), client.db_version, "task_ids")
            for _ in tqdm(downloads, desc=element, total=len(ids)):
                pass
    return folder


def convert(config: Config) -> None:
    """Label every cached document and turn its mu(E) into chi(k): for each file one of `label` and one of `simulate`.

    What is there is not done again: both stages are this one, and the second finds all done.
    """
    metadata = config.provenance("source") | {"database": table.database(config.out, "xas")}
    for stage in ("simulate", "label"):
        table.check_settings(config.out / stage, metadata)
    files: dict[Path, tuple] = {}
    for path in cached_files(config.out):  # other content, another name
        name = f"{path.parent.name}-{path.name.removesuffix('.json.gz')}-{table.sha256(path)[:12]}.parquet"
        files[config.out / "label" / name] = (_convert_file, path, metadata)
    work.make_missing(files, config.run.workers, "files of XAS documents")


def cached_files(out: Path) -> list[Path]:
    """The files of documents of the newest database version."""
    return sorted((out / "mp" / table.database(out, "xas") / "xas").glob("*/*.json.gz"))


def read_file(path: Path) -> dict:
    """What one of them holds: db_version, fetched, the ids that were asked for, documents."""
    return json.loads(gzip.decompress(path.read_bytes()))


def _convert_file(label: Path, path: Path, metadata: dict[str, str]) -> None:
    content, absorber = read_file(path), path.parent.name
    labels, chis = [], []
    for document in content["documents"]:
        material_id = normal_id(document["task_id"])
        try:
            site, chi = read_document(document)
        except RejectedDocument as error:
            labels.append(_rejected(material_id, absorber, str(error)))
            continue
        labels.append(site | {"material_id": material_id})
        done = table.failure(material_id, "", site["site_index"])
        chis.append(done | {"chi_static": chi.astype(np.float16), "chi_debye": []})
    labels += [_rejected(i, absorber, NOT_DELIVERED) for i in _missing(content, "task_id")]
    # the label last: where it is, the file is done
    for stage, schema, rows in (("simulate", table.CHI_SCHEMA, chis), ("label", table.LABEL_SCHEMA, labels)):
        folder = label.parents[1] / stage
        for old in folder.glob(f"{label.stem.rpartition('-')[0]}-*.parquet"):
            old.unlink()
        table.write_shard(folder, rows, schema, metadata, label.stem)


def _rejected(material_id: str, absorber: str, reason: str) -> dict:
    """The row of a document without a spectrum: one for each absorber of a material."""
    return table.failure(material_id, reason, REJECTED - Element(absorber).Z) | {"absorber": absorber}


def read_document(document: dict) -> tuple[dict, np.ndarray]:
    """Label and chi(k) of one raw XAS document; RejectedDocument says why there is none.

    The label is that of the document's own structure. A document of several inequivalent sites is their mean, on 200
    points linear in energy: 0.3 Å^-1 apart at k = 3, so that |chi(R)| differs by 2 % (Fe) to 15 % (TiO2) from 1 to 6 Å.
    """
    try:
        spectrum = document["spectrum"]
        energy, mu = np.array(spectrum["x"], dtype=float), np.array(spectrum["y"], dtype=float)
        structure = Structure.from_dict(spectrum["structure"])
        absorber = Element(document["absorbing_element"]).symbol
        normal = document["edge"] == "K" and document["spectrum_type"] == "EXAFS"
    except Exception as error:  # noqa: BLE001 -- whatever is wrong in a document from outside, it is counted
        raise RejectedDocument(f"not a valid document: {type(error).__name__}") from None
    if not normal or absorber not in ELEMENTS:
        raise RejectedDocument("not K-edge EXAFS of a 3d element")
    if not structure.is_ordered:
        raise RejectedDocument("sites shared by several elements")
    sites = [row for row in labels.label_structure("", structure) if row["absorber"] == absorber]
    if len(sites) != 1:
        raise RejectedDocument("several inequivalent sites" if sites else "no absorber in the structure")
    if sites[0]["reason"]:
        raise RejectedDocument(sites[0]["reason"])
    return sites[0], chi_from_mu(energy, mu)


def chi_from_mu(energy: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """chi on `K_GRID` from FEFF's mu(E), which has no pre-edge and starts at k = 0.05 Å^-1.

    E0 follows from the first point, the edge step is 1 by FEFF's normalization. autobk finds the background on
    an even grid in k; chi is relative to that background, as FEFF's is, not to the edge step.
    """
    if energy.ndim != 1 or energy.shape != mu.shape or len(energy) < 100:
        raise RejectedDocument("fewer than 100 points")
    if not (np.isfinite(energy).all() and np.isfinite(mu).all() and (np.diff(energy) > 0).all()):
        raise RejectedDocument("energy or mu is not finite or not in order")
    e0 = energy[0] - KTOE * 0.05**2
    k = np.sqrt((energy - e0) / KTOE)
    if k[-1] < KMAX_RANGE[1]:
        raise RejectedDocument(f"ends below k = {KMAX_RANGE[1]:g}")
    if np.diff(k)[k[1:] > TRANSFORM["kmin"]].max() > np.pi / (2 * R_MAX):
        raise RejectedDocument(f"points too far apart for distances up to {R_MAX:g} Å")
    even = np.arange(1, int(min(k[-1], K_GRID[-1] + 1.0) / 0.05) + 1) * 0.05
    group = Group(energy=e0 + KTOE * even**2, mu=CubicSpline(k, mu)(even))
    autobk(group, e0=e0, edge_step=1.0, rbkg=0.7, kweight=2)
    chi = np.interp(K_GRID, group.k, group.chi / np.interp(group.k, even, group.bkg), right=0.0)
    chi[0] = 0.0
    if not np.isfinite(chi).all():
        raise RejectedDocument("autobk finds no background")
    return chi


def _client() -> Any:
    """The real client, with raw documents: the document model would clip mu at 1e-12."""
    from mp_api.client import MPRester
    from mp_api.client.core.exceptions import MPRestError

    where = f"set MP_API_KEY to your key, which {KEY_PAGE} shows after you log in"
    if not (os.environ.get("MP_API_KEY") or SETTINGS.get("PMG_MAPI_KEY")):
        raise ConfigError(f"the Materials Project needs a key: {where}")
    options: dict[str, Any] = {"use_document_model": False, "mute_progress_bars": True}
    try:
        return _patiently(lambda: MPRester(endpoint=os.environ.get("MP_API_ENDPOINT"), **options))
    except MPRestError as error:
        raise ConfigError(f"the Materials Project refuses the key ({error}); {where}") from None


def _patiently(request: Callable[[], Any]) -> Any:
    """The answer to a request, made again where the server is busy or the connection breaks.

    The client itself waits out 429 (with Retry-After), 502 and 504, three times. What it trips over, such as null, is
    asked for once more: no patience mends a client of another version.
    """
    from mp_api.client.core.exceptions import MPRestError

    tripped = False
    for wait in (*WAITS, None):
        try:
            return request()
        except (requests.RequestException, json.JSONDecodeError, MPRestError, *TRIPPED) as error:
            message = f"{type(error).__name__}: {error}"
            if tripped and isinstance(error, TRIPPED):
                whose = f"the Materials Project, or its client, mp-api {version('mp-api')}"
                raise BuildError(f"what comes of {whose}, is not understood: {message}") from None
            tripped = tripped or isinstance(error, TRIPPED)
            if "status code 401" in message or "status code 403" in message:
                raise ConfigError(
                    f"the Materials Project refuses the key in MP_API_KEY; {KEY_PAGE} shows yours after you log in"
                ) from None
            busy = any(f"status code {code}" in message for code in (429, 500, 502, 503, 504))
            broken = isinstance(error.__context__, requests.RequestException)  # the client gives it another name
            if isinstance(error, MPRestError) and not (busy or broken):
                raise
            if wait is None:
                raise BuildError(f"the Materials Project does not answer, try again later: {message}") from None
            log.warning("no sound answer of the Materials Project, next try in %g s: %s", wait, message.splitlines()[0])
            time.sleep(wait)


def _cached(folder: Path, ids: list[str], search: Callable, db_version: str, key: str) -> Iterator[dict]:
    """Documents of the ids, from the cache where it has them.

    What an answer leaves out is asked for the next time; until then it is a document with a `reason` alone.
    """
    field = key.removesuffix("s")
    for start in range(0, len(ids), BATCH):
        batch, path = ids[start : start + BATCH], folder / f"{start // BATCH:05d}.json.gz"
        content = read_file(path) if path.exists() else {}
        if content.get("ids") != batch:
            content = {"ids": batch, "documents": []}
        if missing := _missing(content, field):
            answer = _patiently(partial(search, **{key: missing}))
            content["documents"] += [document for document in answer if document and document.get(field)]
            content |= {"db_version": db_version, "fetched": datetime.now(UTC).isoformat(timespec="seconds")}
            with table.replacing(path) as temporary:
                temporary.write_bytes(gzip.compress(json.dumps(content).encode()))
            if missing := _missing(content, field):
                log.warning("%d of %d documents did not come; fetch asks for them again", len(missing), len(batch))
        yield from ({field: i, "reason": NOT_DELIVERED} for i in _missing(content, field))
        yield from content["documents"]


def _missing(content: dict, field: str) -> list[str]:
    """The ids of a file whose documents did not come."""
    came = {normal_id(document[field]) for document in content["documents"]}
    return [i for i in content["ids"] if normal_id(i) not in came]
