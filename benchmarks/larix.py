"""How long a user of the CN tab waits: for one answer, for many, for a series; beyond Larix's own EXAFS processing.

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

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "init.lar").write_text(SNIPPET, encoding="utf-8")
        project = AthenaProject(str(Path(folder, "measured.prj")))
        foil = read_ascii(str(ROOT / "examples" / "Cu_foil_liquid_nitrogen.dat"))
        foil.energy, foil.mu, foil.filename = foil.data[0], foil.data[1], "Cu_foil"
        project.add_group(foil)
        project.save()
        given = {"path": project.filename}

        larix = driver.Program(folder)
        cold, *warm = larix.play("click_to_answer", **given, times=6)
        for name, (answer, plot) in {"first": cold, "again, median": sorted(warm)[len(warm) // 2]}.items():
            print(f"one group, {name}: {answer:.2f} s to the answer, {plot:.2f} s to its plot")
        for groups in counts:
            first, again = larix.play("seconds", **given, groups=groups)
            print(f"{groups} groups: {first:.2f} s, {again:.2f} s again")
            seconds, silent = larix.play("series_of_many", **given, groups=groups)
            print(f"{groups} groups and their series: {seconds:.2f} s, Larix not heard for {silent:.2f} s at most")
        larix.end()


if __name__ == "__main__":
    main([int(arg) for arg in sys.argv[1:]] or [50, 300])
