"""Lifting: float32 vectors of both sides with `divergence(t, s) = <u(t), v(s)>`, which make a search one matrix product.

A divergence of the kinds we have is `own(t) + own(s) - <a(t), b(s)>`; the last two numbers of a vector carry the two
summands, so that the product itself is the divergence. What both sides have in common is taken off first (the mean over
the target, which changes no divergence), so that little cancels when the three are added. Both sides are lifted by the
same arithmetic: `u` is `v` with its last two numbers exchanged and the others negated and turned by `shift`.
"""

import dataclasses

import numpy as np

from sjft_tf.retrieval.threads import for_each_tile, tiles

_ROWS = 64  # lifted at a time: their temporaries stay in the processor's cache
_THREAD_ROWS = 256  # for a thread at a time
_SAMPLE = 512  # targets, spread evenly, over which the mean is taken


@dataclasses.dataclass(frozen=True, eq=False)
class LogarithmLift:
    """Of symmetric KL: `v = [log q', w q', 1, own]` with `own = sum w q' log q'`, and `u = [-w p', -log p', own, 1]`.

    A shifted histogram is `q' = (counts - mean) / total`, a shifted logarithm `log q' = log(counts + added) - mean`.

    Attributes:
        added: `[L]` float32, to the counts inside the logarithms.
        scale: `[L]` float32, weight / total, where the total is pixels and what is added to the bins.
        mean_count: `[L]` float32.
        mean_logarithm: `[L]` float32.
    """

    added: np.ndarray
    scale: np.ndarray
    mean_count: np.ndarray
    mean_logarithm: np.ndarray

    @classmethod
    def of(cls, target_counts: np.ndarray, added: np.ndarray, scale: np.ndarray) -> "LogarithmLift":
        """Centered on the target; `added` and `scale` are `[L]` float64."""
        added = added.astype(np.float32)
        counts = _flat_sample(target_counts)
        mean_logarithm = np.log(counts + added.astype(np.float64)).mean(axis=0)
        return cls(
            added, scale.astype(np.float32), counts.mean(axis=0).astype(np.float32), mean_logarithm.astype(np.float32)
        )

    @property
    def depth(self) -> int:
        """The length of a vector: two numbers a bin and two more."""
        return 2 * len(self.scale) + 2

    @property
    def shift(self) -> int:
        """Logarithms and histograms change places."""
        return len(self.scale)

    def sources(self, descriptors: np.ndarray, out: np.ndarray) -> None:
        """Write `v` of `[m, D, bins]` counts to `out`, `[m, depth]` float32."""
        length = len(self.scale)
        for rows in tiles(len(descriptors), _ROWS):
            shares = descriptors[rows].reshape(-1, length).astype(np.float32)
            logarithms = shares + self.added
            np.log(logarithms, out=logarithms)
            shares -= self.mean_count
            left = np.subtract(logarithms, self.mean_logarithm, out=out[rows, :length])
            right = np.multiply(shares, self.scale, out=out[rows, length:-2])
            out[rows, -2], out[rows, -1] = 1, np.vecdot(left, right)


@dataclasses.dataclass(frozen=True, eq=False)
class DistanceLift:
    """Of `|f(t) - f(s)|^2 / 2`: `v = [f, 1, |f|^2 / 2]` and `u = [-f, |f|^2 / 2, 1]`.

    `f = (x - mean) scale`, where x is the descriptor, or the square roots of counts with something added.

    Attributes:
        scale: `[L]` float32.
        mean: `[L]` float32.
        added: `[L]` float32, to the counts inside the roots; None where descriptors are no counts.
    """

    scale: np.ndarray
    mean: np.ndarray
    added: np.ndarray | None = None
    shift = 0

    @classmethod
    def of(cls, targets: np.ndarray, scale: np.ndarray, added: np.ndarray | None = None) -> "DistanceLift":
        """Centered on the target; `scale` and `added` are `[L]` float64."""
        values = _flat_sample(targets)
        if added is not None:
            values, added = np.sqrt(values + added), added.astype(np.float32)
        return cls(scale.astype(np.float32), values.mean(axis=0).astype(np.float32), added)

    @property
    def depth(self) -> int:
        """The length of a vector: one number a bin or feature and two more."""
        return len(self.scale) + 2

    def sources(self, descriptors: np.ndarray, out: np.ndarray) -> None:
        """Write `v` of `[m, D, bins]` counts or `[m, F]` features to `out`, `[m, depth]` float32."""
        for rows in tiles(len(descriptors), _ROWS):
            f = descriptors[rows].reshape(-1, len(self.scale)).astype(np.float32)
            if self.added is not None:
                f += self.added
                np.sqrt(f, out=f)
            f -= self.mean
            f *= self.scale
            out[rows, :-2], out[rows, -2], out[rows, -1] = f, 1, np.vecdot(f, f) / 2


Lift = LogarithmLift | DistanceLift


def lift_sources(descriptors: np.ndarray, lift: Lift, out: np.ndarray) -> None:
    """`lift.sources` by all threads."""
    for_each_tile(lambda rows: lift.sources(descriptors[rows], out[rows]), len(descriptors), rows=_THREAD_ROWS)


def lift_targets(descriptors: np.ndarray, lift: Lift) -> np.ndarray:
    """`u` of `[n, ...]` descriptors, `[n, depth]` float32, by all threads."""
    u = np.empty((len(descriptors), lift.depth), np.float32)

    def work(rows: slice) -> None:
        v = np.empty((rows.stop - rows.start, lift.depth), np.float32)
        lift.sources(descriptors[rows], v)
        np.negative(np.roll(v[:, :-2], lift.shift, axis=1), out=u[rows, :-2])
        u[rows, -2:] = v[:, :-3:-1]

    for_each_tile(work, len(u), rows=_THREAD_ROWS)
    return u


def _flat_sample(targets: np.ndarray) -> np.ndarray:
    """Some targets as `[n, L]` float64."""
    sample = targets[:: -(-len(targets) // _SAMPLE)]
    return sample.reshape(len(sample), -1).astype(np.float64)
