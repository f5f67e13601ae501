"""Approximate search: ScaNN over a compact embedding, re-ranked by the vectors of exact search, with a certificate."""

from sjft_tf.retrieval.approximate.certificate import Certificate
from sjft_tf.retrieval.approximate.options import ScannOptions, choose_method
from sjft_tf.retrieval.approximate.search import ScannSearch

__all__ = ["Certificate", "ScannOptions", "ScannSearch", "choose_method"]
