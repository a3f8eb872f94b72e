"""Metal particles: their atoms against known numbers, their sites, and their spectra by the real FEFF8L."""

from itertools import islice

import numpy as np
import pyarrow.parquet as pq
import pytest
from larch import Group
from larch.xafs import xftf
from pymatgen.core import Element

from build_models.__main__ import main
from build_models.config import FeffSettings
from build_models.data import particles, structures, table
from build_models.data.particles import ALLOYS, METALS, OUTER, SHAPES, SIZES, Particle, cut, plan, shape_points
from larch_cnpredict.features import ELEMENTS, K_GRID
from tests.build_models.crystals import spectra

ROUND = len(SIZES) * (len(METALS) + len(ALLOYS))
FIRST = particles.FIRST


def particle(
    lattice: str, shape: str, n_atoms: int, symbol: str = "Cu", ratio: float = 0.0, hole: bool = False, **drawn: float
) -> Particle:
    points = cut(*shape_points(lattice, shape, ratio, hole), n_atoms, n_atoms, np.random.default_rng(0))
    assert points is not None
    return Particle(
        np.array([symbol] * n_atoms), points, lattice, shape, 2.556, **({"contraction": 0, "surface": 0} | drawn)
    )


# Bonds of the closed shells, counted by hand: twice as many neighbours.
@pytest.mark.parametrize(
    ("shape", "bonds"),
    [
        ("cuboctahedron", {13: 36, 55: 216, 147: 660, 309: 1488}),
        ("icosahedron", {13: 42, 55: 234, 147: 696, 309: 1548}),
    ],
)
def test_closed_shells_have_their_magic_numbers_and_bonds(shape, bonds):
    _, counts = np.unique(shape_points("fcc", shape)[1], return_counts=True)
    assert np.cumsum(counts)[:5].tolist() == [1, *bonds]
    for n_atoms, pairs in bonds.items():
        one = particle("fcc", shape, n_atoms)
        assert one.neighbours(FIRST).sum() == 2 * pairs
        assert one.distances[one.distances < OUTER].mean() == pytest.approx(1.0, abs=0.015)
    assert particle("fcc", "cuboctahedron", 55).neighbours(FIRST).mean() == pytest.approx(7.85, abs=0.005)
    assert particle("fcc", "cuboctahedron", 147).neighbours(FIRST).mean() == pytest.approx(8.98, abs=0.005)


@pytest.mark.parametrize(
    ("lattice", "shape", "hole", "numbers"),
    [
        ("fcc", "octahedron", False, {19, 85, 231, 489}),
        ("fcc", "octahedron", True, {6, 44, 146, 344}),
        ("fcc", "truncated octahedron", False, {79, 201, 459, 1289}),
        ("fcc", "truncated octahedron", True, {38, 116, 140, 586}),
        ("bcc", "rhombic dodecahedron", False, {15, 65, 175, 369}),
    ],
)
def test_other_polyhedra_have_their_known_sizes(lattice, shape, hole, numbers):
    _, counts = np.unique(shape_points(lattice, shape, 0.0, hole)[1], return_counts=True)
    assert numbers <= set(np.cumsum(counts).tolist())


@pytest.mark.parametrize(
    ("lattice", "n_atoms", "at_the_facet"), [("fcc", 380, 6 + 3), ("bcc", 151, 4 + 2), ("hcp", 62, 6 + 3)]
)
def test_a_hemisphere_lies_on_its_densest_facet(lattice, n_atoms, at_the_facet):
    drop = particle(lattice, "hemisphere", n_atoms, ratio=1.633)
    assert drop.neighbours(FIRST)[np.linalg.norm(drop.points, axis=1).argmin()] == at_the_facet


@pytest.mark.parametrize(
    ("lattice", "ratio", "cn", "cn_outer"),
    [("fcc", 0, 12, 12), ("bcc", 0, 8, 14), ("hcp", 1.587, 12, 12), ("hcp", 1.856, 6, 12)],
)
def test_inside_a_particle_are_the_neighbours_of_the_crystal(lattice, ratio, cn, cn_outer):
    shape = "sphere" if lattice != "fcc" else "cuboctahedron"
    points, size = shape_points(lattice, shape, ratio)
    one = Particle(np.full((size < 4).sum(), "Zn"), points[size < 4], lattice, shape, 2.6, 0.0, 0.0)
    center = np.linalg.norm(one.points, axis=1).argmin()
    assert (one.neighbours(FIRST)[center], one.neighbours(OUTER)[center]) == (cn, cn_outer)


def test_distinct_sites_are_done_once_and_stand_for_all_others():
    rng = np.random.default_rng(0)
    sites = particle("fcc", "cuboctahedron", 55).sites("Cu", 8, rng)
    assert sorted(sites.values()) == [1, 6, 12, 12, 24]  # centre; middles of squares; inner shell, corners; edges
    for one in islice(plan(1), ROUND):
        for absorber in set(one.symbols) & set(ELEMENTS):
            weights = one.sites(absorber, 8, rng)
            number = one.neighbours(FIRST if one.lattice == "bcc" else OUTER)
            assert len(weights) <= max(8, len(set(number[one.symbols == absorber])))
            assert sum(weights.values()) == pytest.approx((one.symbols == absorber).sum())
            mean = np.average(number[list(weights)], weights=list(weights.values()))
            assert mean == pytest.approx(number[one.symbols == absorber].mean())


def test_sites_that_differ_in_an_element_are_two():
    alloy = particle("fcc", "cuboctahedron", 13)
    center = int(np.linalg.norm(alloy.points, axis=1).argmin())
    alloy.symbols[(center + 1) % 13] = "Ni"
    assert len(alloy.sites("Cu", 13, np.random.default_rng(0))) > len(
        particle("fcc", "cuboctahedron", 13).sites("Cu", 13, np.random.default_rng(0))
    )


def test_a_particle_is_contracted_and_its_surface_more_so():
    def bonds(**drawn: float) -> tuple[float, float]:
        structure = particle("fcc", "cuboctahedron", 147, **drawn).structure()
        distances = structure.distance_matrix
        near = (distances < 3) & (distances > 0)
        inner = near.sum(axis=0) == 12
        return distances[near & inner[:, None] & inner].mean(), distances[near & ~inner[:, None]].mean()

    assert bonds() == pytest.approx((2.556, 2.556))
    assert bonds(contraction=0.02) == pytest.approx((0.98 * 2.556, 0.98 * 2.556))
    inner, surface = bonds(surface=0.05)
    assert inner == pytest.approx(2.556)
    assert 0.97 * 2.556 < surface < 0.995 * 2.556


def test_a_round_of_the_plan_has_every_metal_and_alloy_in_every_size():
    made = list(islice(plan(3), ROUND))
    assert [one.name for one in made] == [one.name for one in islice(plan(3), ROUND)]
    assert made[0].name != next(plan(4)).name
    assert len({one.name for one in made}) == ROUND
    every = sorted("".join(sorted(metals)) + lattice for metals, lattice, *_ in [*METALS, *ALLOYS])
    for start, (fewest, most) in zip(range(0, ROUND, ROUND // 3), SIZES, strict=True):
        third = made[start : start + ROUND // 3]
        assert all(fewest <= len(one.points) <= most for one in third)
        assert sorted("".join(sorted(set(one.symbols))) + one.lattice for one in third) == every
    assert {(one.lattice, one.shape) for one in plan(3)} == {(a, b) for a, shapes in SHAPES.items() for b in shapes}
    known = [set(metals) for metals, *_ in [*METALS, *ALLOYS]]
    others = [set(one.symbols) for one in islice(plan(3, others=True), len(SIZES) * len(particles.OTHER_ALLOYS))]
    assert all(len(alloy) == 2 and alloy not in known for alloy in others)
    shortest = min(np.sort(one.structure().distance_matrix, axis=1)[:, 1].min() for one in made[: ROUND // 3])
    assert shortest > 2.0


@pytest.mark.feff
def test_the_centre_of_thirteen_atoms_has_more_of_a_first_shell_than_its_surface():
    copper = particle("fcc", "cuboctahedron", 13, contraction=0.01)
    height = {}
    for site, _ in copper.sites("Cu", 8, np.random.default_rng(0)).items():
        group = Group(k=K_GRID, chi=spectra(copper.structure(), site, FeffSettings(debye_temperatures=()))[0])
        xftf(group, kmin=3, kmax=12, dk=1, kweight=2, window="hanning")
        height[int(copper.neighbours(FIRST)[site])] = group.chir_mag[(group.r > 1.5) & (group.r < 3)].max()
    assert height.keys() == {5, 12}
    assert height[12] / height[5] == pytest.approx(12 / 5, rel=0.2)


def test_where_no_particle_is_whole_the_table_is_empty(make_config, capsys):
    config = make_config(run={"limit": 1})
    failed = [table.failure(next(plan(config.seed)).name, "pot: no luck", 0)]
    table.write_shard(config.out / "particles", failed, table.CHI_SCHEMA, config.provenance("feff"))
    tried = table.read_shards(config.out / "particles", table.CHI_SCHEMA.names)
    assert len(pq.read_table(particles.build(config, particles._plan(config), tried))) == 0
    assert "0 spectra of 0 particles\n1 sites failed (100.00%)\n      1  pot\n" in capsys.readouterr().out


def test_other_alloys_come_with_the_bulk_of_all_metals(make_config):
    made = [one for one, _ in particles._plan(make_config(run={"limit": 2, "other_alloys": True}))]
    assert len({one.composition for one in made[:-2]}) == len(ELEMENTS)
    assert [one.shape == particles.BULK for one in made] == [True] * (len(made) - 2) + [False] * 2


@pytest.mark.feff
def test_the_stage_goes_on_where_it_was_and_leaves_out_particles_with_a_failed_site(make_config, tmp_path, capsys):
    config = make_config()
    settings = tmp_path / "settings.toml"
    settings.write_text(config.toml())
    folder = config.out / "particles"
    one, two, rows = (made[1] for made in particles._plan(make_config(run={"limit": 3})))
    assert main(["particles", "--config", str(settings), "--limit", "1"]) == 0
    assert f"{len(one)} sites, {len(one)} of them to be done" in capsys.readouterr().out
    (shard,) = folder.glob("*.parquet")
    first = pq.read_table(config.out / "particles.parquet")
    _, second, third = islice(plan(config.seed), 3)
    name = structures.named(structures.to_row(third.name, third.structure()))["material_id"]
    done = [table.failure(name, "" if i else "pot: no luck", row["site_index"]) for i, row in enumerate(rows[:-1])]
    done = [{**row, "chi_static": np.ones(361, "f2"), "chi_debye": np.ones(361, "f2")} for row in done]
    table.write_shard(folder, done, table.CHI_SCHEMA, config.provenance("feff"))
    assert main(["particles", "--config", str(settings), "--limit", "3"]) == 0
    said = capsys.readouterr().out
    planned = len(one) + len(two) + len(rows)
    assert f"{planned} sites, {len(two) + 1} of them to be done" in said
    assert "\n      1  pot\n" in said
    found = pq.read_table(config.out / "particles.parquet")
    assert shard.exists()
    assert found.slice(0, len(one)).equals(first)
    assert set(found["particle"].to_pylist()) == {first["particle"][0].as_py(), second.name}
    assert found.schema.names[-2:] == ["chi_static", "chi_debye"]
    assert found.schema.metadata[b"theta_debye_K"] == b"300"
    assert np.isfinite(np.array(found["chi_debye"].to_pylist(), float)).all()
    said = table.provenance(config.out / "particles.parquet")
    assert (said["rows"], said["materials"]) == (len(found), 2)


@pytest.mark.parametrize(
    ("lattice", "shape", "ratio"),
    [("fcc", "hemisphere", 0), ("bcc", "sphere", 0), ("hcp", "sphere", 1.587), ("hcp", "sphere", 1.856)],
)
def test_the_nearest_distance_of_a_crystal_is_one(lattice, shape, ratio):
    assert np.sort(np.linalg.norm(shape_points(lattice, shape, ratio)[0], axis=1))[1] == pytest.approx(1)


def test_alloys_are_as_large_as_their_atoms():
    second = {tuple(metals): metals for metals, *_ in ALLOYS}
    seen = 0
    for one in islice(plan(1), ROUND):
        metals = second.get(
            tuple(metals) if (metals := next((m for m in second if set(m) == set(one.symbols)), ())) else ()
        )
        if metals and len(one.points) > 80:
            share = (one.symbols == metals[1]).mean()
            first, other = (Element(metal).metallic_radius for metal in metals)
            expected = 2 * (first + share * (other - first)) * (0.97 if one.lattice == "bcc" else 1)
            assert one.nearest == pytest.approx(expected, rel=1e-2), one.name
            seen += 1
    assert seen == 2 * len(ALLOYS)


def nearest_of(lattice: str, a: float, c: float) -> float:
    return {"fcc": a / 2**0.5, "bcc": a * 3**0.5 / 2, "hcp": min(a, (a**2 / 3 + c**2 / 4) ** 0.5)}[lattice]


def test_pure_metals_are_as_large_as_their_crystals():
    crystals = {(m[0], lattice, round(nearest_of(lattice, a, c), 4)) for m, lattice, a, c in METALS}
    pieces = list(particles.bulk())
    assert {(one.symbols[0], one.lattice, round(one.nearest, 4)) for one in pieces} == crystals
    pure = [one for one in islice(plan(1), ROUND) if len(set(one.symbols)) == 1 and len(one.points) > 80]
    assert {(one.symbols[0], one.lattice, round(one.nearest, 4)) for one in pure} == crystals
    for one in pieces:
        ((site, weight),) = one.sites(one.symbols[0], 8, np.random.default_rng(0)).items()
        assert (weight, np.linalg.norm(one.points[site])) == (1, pytest.approx(0))
        assert one.neighbours(1.2)[site] in (12, 14)


def test_no_particle_sees_another():
    for one in islice(plan(1), 10):
        box = one.structure()
        assert box.lattice.a - np.ptp(box.cart_coords, axis=0).max() > 2 * FeffSettings().cluster_radius
