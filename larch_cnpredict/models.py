"""The shipped models: found, checked against their hashes, and run.

A model version is a folder with ONNX files, `domain.npz`, `manifest.json` and a card, `README.md`. Nothing in it is
unpickled, and nothing is run that does not match the hash in the manifest.
"""

import hashlib
import io
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from . import errors, features, samples
from .result import KINDS

MANIFEST_FORMAT = 3
# A folder of models to use in place of the shipped ones, such as those that one has built oneself.
FOLDER_VARIABLE = "LARCH_CNPREDICT_MODELS"


def list_models() -> list[Path]:
    """The folders of the shipped model versions, the newest last."""
    package = Path(__file__).parent
    inside = (package / "plugin_data").exists()  # in a checkout they are beside the package
    manifests = (package if inside else package.parent).glob("plugin_data/*/manifest.json")
    return sorted((path.parent for path in manifests), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def default_folder() -> Path:
    """The newest shipped version, or what the environment variable names."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE]).expanduser()
    shipped = list_models()
    if not shipped:
        raise errors.ModelFileError("plugin_data", "holds none")
    return shipped[-1]


def card_text() -> str:
    """The card of the models that answer by default: data, labels, results, limits. Markdown."""
    return _content(default_folder() / "README.md").decode()


def load_models(folder: str | Path | None = None, model: str = "default") -> "Models":
    """The models of a folder, by default the newest shipped version, if this model is one of them; read once."""
    with _loading:
        loaded = _load(Path(folder).expanduser() if folder else default_folder())
    errors.OptionError.check("model", model, ["default", *loaded.families])
    return loaded


class Models:
    """One model version: its manifest, the families (loaded when they are asked), and the arrays of `domain`."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise errors.ModelFileError(folder, "is missing")
        self.folder = folder
        path = folder / "manifest.json"
        try:
            self.manifest: dict[str, Any] = json.loads(_content(path))
            self._check_manifest(path)
            self.version, self.absorbers = str(self.manifest["version"]), tuple(self.manifest["absorbers"])
            self.classes = np.array(self.manifest["classes"], dtype=int)  # coordination numbers
            # for each family the power that its probabilities are raised to, and thresholds of the 90 % sets
            self.calibration: dict[str, Any] = self.manifest["calibration"]
            self.families: tuple[str, ...] = tuple(self.manifest["families"])
            # with networks that know the composition alone, by how much of it
            self._entries: dict[str, Any] = self.manifest["families"] | self.manifest["composition"]
            with np.load(io.BytesIO(self._checked(self.manifest["domain"])), allow_pickle=False) as stored:
                self.domain: dict[str, np.ndarray] = dict(stored)
        except json.JSONDecodeError as error:
            raise errors.ModelFileError(path, f"cannot be read ({error})") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise errors.ModelFileError(path, f"is no manifest of models ({error!r})") from error
        self._sessions: dict[str, Any] = {}  # by file, of the models that were asked
        self._opening = Lock()

    def reads(self, family: str) -> str:
        """'magnitude' for |chi(R)| alone, 'complex' where chi(k) is needed."""
        return str(self.manifest["families"][family]["reads"])

    def probabilities(self, family: str, x: np.ndarray) -> np.ndarray:
        """Of a family, or of 'formula' or 'elements': its own distribution over `classes` for n inputs."""
        entry = self._entries[family]
        out = np.zeros((len(x), len(self.classes)))
        out[:, np.searchsorted(self.classes, entry["classes"])] = self._run(entry, x)
        return out

    def of_samples(self, reads: str, x: np.ndarray, told: np.ndarray) -> np.ndarray:
        """What the networks of samples say, see `samples.describe`: (n, 64), for the inputs of n spectra.

        `told` are the columns of `samples.told_columns`.
        """
        return self._run(self.manifest["samples"][reads], samples.read(x, told))

    def _run(self, entry: dict[str, Any], x: np.ndarray) -> np.ndarray:
        name = str(entry["file"])
        with self._opening:
            if name not in self._sessions:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1  # these models take less time than waking threads does
                options.log_severity_level = 3
                self._sessions[name] = onnxruntime.InferenceSession(
                    self._checked(entry), options, providers=["CPUExecutionProvider"]
                )
        (says,) = self._sessions[name].run(["probabilities"], {"X": np.ascontiguousarray(x, dtype=np.float32)})
        return np.asarray(says)

    def _check_manifest(self, path: Path) -> None:
        manifest = self.manifest
        if manifest.get("format") != MANIFEST_FORMAT:
            raise errors.ModelFileError(path, f"has format {manifest.get('format')}, not {MANIFEST_FORMAT}")
        families = {*manifest["families"], *manifest["default"].values()}
        for name in families - (set(manifest["families"]) & set(manifest["calibration"])):
            raise errors.ModelFileError(path, f"has no calibrated family {name}")
        own = {"features": features.fingerprint(), "samples_read": samples.READ}
        own["sample_heads"] = {"mean": samples.GRID.tolist(), "kind": list(KINDS)}
        if any(manifest.get(name) != value for name, value in own.items()):
            raise errors.ModelFileError(path, "is of models for other inputs (transform, grids) than this version's")

    def _checked(self, entry: dict[str, Any]) -> bytes:
        path = self.folder / str(entry["file"])
        content = _content(path)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise errors.ModelFileError(path, "does not match its hash in manifest.json")
        return content


_loading = Lock()  # or two threads that ask at once load twice, and one loses what it woke
_load = lru_cache(maxsize=4)(Models)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.ModelFileError(path, f"cannot be read ({error.strerror})") from error
