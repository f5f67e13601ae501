"""The sizes and options of a run that decide what is remarkable about its rounds."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Setting:
    """What warnings depend on besides the rounds themselves.

    Attributes:
        mode: one of `sjft_tf.selection.MODES`.
        rounds: how many are to be trained.
        n_target, n_target_classes: images and classes of the target.
        n_validation: validation images; 0 without that domain.
        n_source, n_source_classes: the same of the source; 0 without one.
        is_synthetic: whether the source is synthetic, so that advice on sizes of collections does not hold.
        k0, sigma0, level_cap: of the selection.
        max_k: width of the neighbor table; None without one.
    """

    mode: str
    rounds: int
    n_target: int
    n_target_classes: int
    n_validation: int = 0
    n_source: int = 0
    n_source_classes: int = 0
    is_synthetic: bool = False
    k0: int = 300
    sigma0: int = 4
    level_cap: int | None = None
    max_k: int | None = None

    @property
    def cap(self) -> float:
        """The largest K that there can be."""
        width = math.inf if self.max_k is None else self.max_k
        return width if self.level_cap is None else min(width, self.level_cap * self.k0)
