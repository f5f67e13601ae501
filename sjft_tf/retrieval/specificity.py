"""How specific the lists of neighbors are: whether they depend on the target image or name the same images for all.

Where a source image is near or far from every target alike, the lists of unlike targets share more than random lists do,
and what is borrowed says little about who borrows. Pure NumPy.

Reference: McGraw, Wong, Forming inferences about some intraclass correlation coefficients, Psychological Methods 1,
1996, for `own_share`; Radovanović, Nanopoulos, Ivanović, Hubs in Space, JMLR 11, 2010, for what shared lists do.
"""

import dataclasses

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.retrieval.borrowing import occurrences


@dataclasses.dataclass(frozen=True)
class Specificity:
    """How much the lists of different target images have in common; shares are in 0..1.

    Attributes:
        depth: length of the lists, from the nearest neighbor on.
        overlap: mean share of a list that another target image's list has, too, over all pairs of target images.
        overlap_in_class: the same over pairs of one class; None where no class has two target images.
        overlap_by_chance: the share that random lists would have in common, `depth / n_source`.
        own_share: of `own_share`; None where it was not measured.
    """

    depth: int
    overlap: float
    overlap_in_class: float | None
    overlap_by_chance: float
    own_share: float | None = None

    @classmethod
    def of(
        cls,
        indices: np.ndarray,
        labels: np.ndarray,
        n_source: int,
        *,
        depth: int,
        divergences: np.ndarray | None = None,
    ) -> "Specificity":
        """Measure the lists of a neighbor table; InputError where there are no two, or `depth` or an index is out of range.

        Args:
            indices: `[n_target, max_k]` int, of the table.
            labels: `[n_target]` int, the target's.
            n_source: number of source images.
            depth: length of the lists that are compared, in 1..max_k; K of the first round, say.
            divergences: for `own_share`.
        """
        if len(indices) < 2:
            raise InputError(f"the neighbor table is of {len(indices)} target image; lists are compared in pairs")
        if not 1 <= depth <= indices.shape[1]:
            raise InputError(f"depth is {depth}; it must be 1 to {indices.shape[1]}, the neighbors of a target image")
        everyone = np.zeros(len(indices), np.int64)
        return cls(
            depth,
            overlap(indices[:, :depth], everyone, n_source),
            overlap(indices[:, :depth], labels, n_source) if len(np.unique(labels)) < len(labels) else None,
            depth / n_source,
            None if divergences is None else own_share(divergences),
        )

    def words(self) -> str:
        """A sentence or two for people."""
        in_class = "" if self.overlap_in_class is None else f", of two of one class {self.overlap_in_class:.1%}"
        text = (
            f"The first {self.depth:,} neighbors of two target images have {self.overlap:.1%} in common{in_class}; of "
            f"random lists it would be {self.overlap_by_chance:.1%}."
        ).replace("%", " %")
        if self.own_share is None:
            return text
        return (
            f"{text} About {100 * self.own_share:.0f} % of the variance of a target image's divergences is the source "
            "image's own, the same for every target image."
        )


def overlap(lists: np.ndarray, groups: np.ndarray, n_source: int) -> float:
    """Mean share of a list that another list of its group has, too, over all ordered pairs of one group.

    A source image that is in `n` lists of a group is common to `n (n - 1)` ordered pairs of them, so that counting
    occurrences is enough: `sum_g sum_s n_gs (n_gs - 1) / (depth sum_g n_g (n_g - 1))`.

    Args:
        lists: `[n_target, depth]` int, as for `occurrences`.
        groups: `[n_target]` int, the group of each list: equal for all, or classes.
        n_source: number of source images.

    Returns:
        In 0..1, `depth / n_source` in expectation if the lists are random; NaN where no group has two.
    """
    common = pairs = 0
    for group in np.unique(groups):
        members = lists[groups == group]
        found = occurrences(members, members.shape[1], n_source)
        common += int((found * (found - 1)).sum())
        pairs += len(members) * (len(members) - 1)
    return common / (pairs * lists.shape[1]) if pairs else float("nan")


def own_share(divergences: np.ndarray) -> float:
    """The share of the variance of a target image's divergences that is the source image's own.

    Mean covariance of two rows over mean variance of a row: in the model `d_ij = row_i + own_j + rest_ij` an estimate of
    `var(own) / (var(own) + var(rest))` that is not biased by the size of a sample (the intraclass correlation of
    consistency, ICC(C,1)). A variance explained by column means alone would count 1 / n of the rest as the image's own.

    Args:
        divergences: `[n, m]` float, of n >= 2 target images from the same m >= 2 source images; random samples will do.

    Returns:
        About 0 where the order of the source images is each target image's own, 1 where it is the same for all;
        slightly negative by chance. 0 where nothing varies.
    """
    if divergences.ndim != 2 or min(divergences.shape) < 2:
        raise InputError(f"divergences are {list(divergences.shape)}; a share of variance needs at least [2, 2]")
    n = len(divergences)
    centered = divergences - divergences.mean(axis=1, keepdims=True, dtype=np.float64)
    variance = np.square(centered).sum() / n
    covariance = (np.square(centered.sum(axis=0)).sum() / n - variance) / (n - 1)
    return float(covariance / variance) if variance > 0 else 0.0
