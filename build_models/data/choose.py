"""The order of work for sites that are chosen and not taken as they come: what the tables know least of first."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def rarest_first(labels: pa.Table, known: set[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    """Labelled sites (material_id, site_index) that are not known yet, those first that add most to those that are.

    A site is worth little where there are many of its absorber, number and kinds of neighbour, and less where there are
    many of its structure type; what stands before it in the list counts as known. A label that CrystalNN is not sure of
    is worth little too: the square of its weight.
    """
    sites = labels.to_pandas().sample(frac=1, random_state=seed, ignore_index=True)
    new = ~np.array([key in known for key in zip(sites["material_id"], sites["site_index"], strict=True)])
    symbols = sites["neighbours"].map(lambda words: " ".join(sorted({word.split(":")[0] for word in words.split()})))
    kind = sites["absorber"] + " " + sites["cn"].astype(str) + " " + symbols
    alike, of_type = (
        key[new].map(key[~new].value_counts()).fillna(0) + key[new].groupby(key[new]).cumcount() + 1
        for key in (kind, sites["prototype"])
    )
    order = (np.sqrt(alike) * of_type / sites["cn_weights"][new].map(max) ** 2).sort_values(kind="stable").index
    return list(zip(sites["material_id"][order], sites["site_index"][order], strict=True))
