"""Which sites are worth FEFF's time."""

import pyarrow as pa

from build_models.data import choose, table


def labels(*rows: tuple[str, str, int, str, str, float]) -> pa.Table:
    names = ("material_id", "absorber", "cn", "neighbours", "prototype", "weight")
    dicts = [dict(zip(names, row, strict=True)) for row in rows]
    full = [row | {"site_index": 0, "cn_weights": [row.pop("weight")]} for row in dicts]
    return pa.Table.from_pylist(full, schema=table.LABEL_SCHEMA)


def order(rows, known=()):
    return [name for name, _ in choose.rarest_first(labels(*rows), {(name, 0) for name in known}, seed=1)]


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
