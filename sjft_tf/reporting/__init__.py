"""Pages and pictures of a run: the self-contained report and the neighbor gallery.

Takes plain values (`ReportData`, `GalleryRow`) and writes files. It knows no run folder and no configuration:
the report stage reads those and fills in the values.
"""

from sjft_tf.reporting.data import Borrowing, DomainSummary, GalleryRow, Leaked, ReportData, Shot
from sjft_tf.reporting.gallery import RANKS, neighbor_picture
from sjft_tf.reporting.page import write_report

__all__ = [
    "RANKS",
    "Borrowing",
    "DomainSummary",
    "GalleryRow",
    "Leaked",
    "ReportData",
    "Shot",
    "neighbor_picture",
    "write_report",
]
