"""Approximate search: ScaNN over a compact embedding, re-ranked by the vectors of exact search, with a certificate."""
