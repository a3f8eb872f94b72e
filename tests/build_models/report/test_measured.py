"""The shipped models on measured compounds of known coordination, which training and choice of models never saw."""

from pathlib import Path

import pytest

from build_models.report import measured
from larch_cnpredict.models import default_folder

FOLDER = Path(__file__).parents[4] / "shared" / "measured"


@pytest.mark.shared
@pytest.mark.skipif(not FOLDER.exists(), reason=f"needs the measured spectra in {FOLDER}")
def test_measured_compounds():
    scores = measured.score(FOLDER, default_folder())
    assert set(scores) == set(measured.TRANSFORMS)
    for name, score in scores.items():
        assert score["always_commonest"] < 0.6, name
        assert score["exact"] >= (0.94 if name == "common" else scores["common"]["exact"] - 0.04), score["wrong"]
        assert score["balanced"] >= (0.88 if name == "common" else scores["common"]["balanced"] - 0.04), score["wrong"]
        assert score["within1"] >= 0.90, (name, score["wrong"])
        assert score["in_set"] >= 0.90, name
        assert score["mixed"] <= 0.5, name
        assert score["flagged"] <= 0.05, name
