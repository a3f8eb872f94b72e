"""How long the CN tab of Larix takes for many selected groups, beyond Larix's own EXAFS processing.

`python benchmarks/larix.py [GROUPS ...]` starts the real Larix on an X server of its own, as the tests do.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main(counts: list[int]) -> None:
    from larch.io import AthenaProject, read_ascii

    from larch_cnpredict.larch_hooks import SNIPPET
    from tests.larch_cnpredict.larix import driver

    with tempfile.TemporaryDirectory() as folder, driver.xvfb() as display:
        Path(folder, "init.lar").write_text(SNIPPET, encoding="utf-8")
        project = AthenaProject(str(Path(folder, "measured.prj")))
        foil = read_ascii(str(ROOT / "examples" / "Cu_foil_liquid_nitrogen.dat"))
        foil.energy, foil.mu, foil.filename = foil.data[0], foil.data[1], "Cu_foil"
        project.add_group(foil)
        project.save()
        for groups in counts:
            first, again = driver.run("seconds", display, folder, path=project.filename, groups=groups)
            print(f"{groups} groups: {first:.2f} s with the loading of the models, {again:.2f} s after that")


if __name__ == "__main__":
    main([int(arg) for arg in sys.argv[1:]] or [50, 300])
