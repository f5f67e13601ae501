"""By which method a source is searched."""

import math

_BUILT, _ASKED, _RANKED, _WORTH = 800, 0.17, 3.8, 2.0  # see `choose_method`


def choose_method(n_target: int, n_source: int, depth: int, *, obstacle: str = "") -> tuple[str, str]:
    """Exact or approximate search, by their time.

    The time of an index, in units of an exact search for one target image: building takes `_BUILT` of them whatever the
    number of targets (the certificate's exact lists and the embedding), and then each target `_ASKED` to be proposed
    candidates and `_RANKED sqrt(depth / n_source)` to rank them, because the wider the lists, the more of the source a
    group of targets proposes. Measured with Gabor descriptors, see docs/results/retrieval.md.

    Args:
        n_target: number of target images.
        n_source: number of source images.
        depth: neighbors of each target image.
        obstacle: why there can be no index, if so.

    Returns:
        "scann" where that is at least twice as fast, since it may miss neighbors, else "exact"; and why, in words.
    """
    if obstacle:
        return "exact", obstacle
    each = _ASKED + _RANKED * math.sqrt(min(1, depth / n_source))
    gain = n_target / (_BUILT + each * n_target)
    sizes = f"{depth:,} neighbors of {n_target:,} target images among {n_source:,} source images"
    method, relation = ("scann", "at least") if gain >= _WORTH else ("exact", "less than")
    return method, f"an index would be {gain:.1f} times as fast, {relation} {_WORTH:g}, for {sizes}"
