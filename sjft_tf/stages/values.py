"""What stages hand on to later ones; `Rounds`, what `train` hands on, lies with its files in `workspace`."""

import dataclasses
from typing import Any

import numpy as np

from sjft_tf.descriptors import BinEdges
from sjft_tf.retrieval import NeighborTable


@dataclasses.dataclass(frozen=True)
class Description:
    """How images are described, from `describe`.

    Attributes:
        made_from: the hash of all that descriptors depend on, but for the image.
        edges: of the bins; None where images are described by one vector, without bins.
    """

    made_from: str
    edges: BinEdges | None


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """The neighbor table of a run, from `search`.

    Attributes:
        made_from: the hash of all that it depends on.
        table: the table.
        figures: what `retrieval.json` tells of it.
    """

    made_from: str
    table: NeighborTable
    figures: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Every round's model measured on the test domain, from `evaluate`.

    Attributes:
        made_from: the hash of all that it depends on.
        metrics: what `metrics.json` tells; its `exported_round`, from 0, is the one that `export` takes.
        confusion: `[C, C]` int, test images by true and predicted class, of that round; None without a test domain.
    """

    made_from: str
    metrics: dict[str, Any]
    confusion: np.ndarray | None
