"""Approximate search: ScaNN over a compact embedding, re-ranked by the vectors of exact search, with a certificate."""

from sjft_tf.retrieval.approximate.choice import choose_method
from sjft_tf.retrieval.approximate.search import ScannSearch

__all__ = ["ScannSearch", "choose_method"]
