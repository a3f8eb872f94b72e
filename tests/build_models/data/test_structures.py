"""Where structures come from and in which order they are taken."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build_models.config import Order
from build_models.data import table
from build_models.data.sources import fetch
from build_models.data.structures import few_of_each, iterate, normal_id, rarest_first, to_structure, work_order
from tests.build_models.crystals import crystals


def test_both_forms_of_an_id_are_one():
    assert normal_id("mp-aaaboscc") == normal_id("aaaboscc") == "mp-715262"
    assert normal_id("mp-149") == "mp-149"
    assert normal_id("amcsd-0000007") == "amcsd-0000007"


def test_a_structure_comes_back_as_it_was(make_config):
    for row in iterate(fetch(make_config())):
        crystal, again = crystals()[row["material_id"]], to_structure(row)
        assert again.species == crystal.species
        np.testing.assert_allclose(again.distance_matrix, crystal.distance_matrix, atol=1e-9)


def test_single_precision_is_read_by_its_shortest_decimals(tmp_path):
    cell, coords = [5.7864456, 5.7864456, 28.458366, 90.0, 90.0, 120.0], [0.0, 0.0, 0.206152, 0.666667, 0.333333, 0.5]
    columns = {
        "material_id": ["mp-1", "mp-2"],
        "cell": pa.array([cell, cell[::-1]], pa.list_(pa.float32())),
        "species": ["Ti O", "O"],
        "frac_coords": pa.array([coords, coords[3:]], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), tmp_path / "single.parquet")
    first, second = iterate(tmp_path / "single.parquet")
    assert (first["cell"], first["frac_coords"], first["species"]) == (cell, coords, "Ti O")
    assert (second["cell"], second["frac_coords"]) == (cell[::-1], coords[3:])


def test_order_of_work():
    rows = {f"mp-{i}": {"species": "Fe O"} for i in range(100, 160)}
    rows |= {f"mp-{i}": {"species": "Sc O"} for i in range(200, 230)}
    rows |= {f"mp-{i}": {"species": "Fe O"} for i in range(700000, 700030)}
    rows["mp-1"] = {"species": "Fe" + " O" * 60}
    order = Order(small_first=40, low_id=600000, low_share=3)
    ids = work_order(rows, order, 1, ["Fe", "Sc"])
    assert sorted(ids) == sorted(rows)
    assert ids[-1] == "mp-1"
    first = [i for i in ids[:40] if int(i[3:]) < 600000]
    assert len(first) == 30
    assert Counter(rows[i]["species"] for i in first) == {"Fe O": 15, "Sc O": 15}
    assert ids == work_order(dict(reversed(rows.items())), order, 1, ["Fe", "Sc"])
    assert ids != work_order(rows, order, 2, ["Fe", "Sc"])


def labels(*rows: tuple[str, str, int, str, str, float]) -> pa.Table:
    names = ("material_id", "absorber", "cn", "neighbours", "prototype", "weight")
    dicts = [dict(zip(names, row, strict=True)) for row in rows]
    full = [row | {"site_index": 0, "cn_weights": [row.pop("weight")]} for row in dicts]
    return pa.Table.from_pylist(full, schema=table.LABEL_SCHEMA)


def order(rows, known=()):
    return [name for name, _ in rarest_first(labels(*rows), {(name, 0) for name in known}, seed=1)]


def test_a_rare_number_a_mixed_shell_and_a_new_type_come_first():
    common = [(f"six-{i}", "Fe", 6, "O:2.0 O:2.1", "AB Fm-3m (225)", 1.0) for i in range(20)]
    rare = [
        ("three", "Fe", 3, "O:1.9", "AB Fm-3m (225)", 1.0),
        ("mixed", "Fe", 6, "O:2.0 Cl:2.3", "AB Fm-3m (225)", 1.0),
        ("new type", "Fe", 6, "O:2.0", "AB P6_3mc (186)", 1.0),
        ("unclear", "Fe", 5, "O:2.0", "AB Fm-3m (225)", 0.3),
    ]
    first = order([*common, *rare], known=[row[0] for row in common[:10]])
    assert len(first) == 14
    assert set(first[:3]) == {"three", "mixed", "new type"}
    assert first.index("unclear") > 2  # a label that is half a guess


def test_what_comes_before_counts_as_known():
    """Of two kinds that nobody knows, one site each, and then the second ones."""
    rows = [(f"{cn}-{i}", "Ni", cn, "S:2.2", f"type {cn}", 1.0) for cn in (3, 7) for i in range(3)]
    kinds = [name[0] for name in order(rows)]
    assert [set(kinds[i : i + 2]) for i in (0, 2, 4)] == [{"3", "7"}] * 3


def test_nothing_known_is_taken_again():
    rows = [(f"mp-{i}", "Cu", 4, "O:1.9", "type", 1.0) for i in range(4)]
    assert sorted(order(rows, known=["mp-1", "mp-2"])) == ["mp-0", "mp-3"]


def test_few_sites_of_an_absorber_are_taken_of_a_cell():
    rows = [(f"mp-{i // 6}", "Fe" if i % 3 else "Ni", 6, "O:2.0", "type", i / 30) for i in range(30)]
    taken = [(row["material_id"], row["absorber"]) for row in few_of_each(labels(*rows), 1, 1).to_pylist()]
    assert taken == sorted(taken, key=lambda key: key[0])  # as they come
    assert sorted(taken) == sorted({row[:2] for row in rows})
    every, one, other = (
        few_of_each(labels(*rows), n, seed)["cn_weights"].to_pylist() for n, seed in ((9, 1), (1, 1), (1, 2))
    )
    assert (len(every), len(one)) == (30, 10)
    assert one != other  # by chance
