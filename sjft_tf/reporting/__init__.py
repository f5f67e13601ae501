"""Pages and pictures of a run and of a study: self-contained reports and the neighbor gallery.

Takes plain values (`ReportData`, `GalleryRow`, `StudyData`) and writes files. It knows no run folder and no configuration:
the report stage reads those and fills in the values.
"""

from sjft_tf.reporting.data import Borrowing, DomainSummary, GalleryRow, Leaked, ReportData, Shot
from sjft_tf.reporting.gallery import RANKS, neighbor_picture
from sjft_tf.reporting.page import write_report
from sjft_tf.reporting.study_data import ArmSummary, Contrast, RoundPoint, StudyData
from sjft_tf.reporting.study_page import study_text, write_study

__all__ = [
    "RANKS",
    "ArmSummary",
    "Borrowing",
    "Contrast",
    "DomainSummary",
    "GalleryRow",
    "Leaked",
    "ReportData",
    "RoundPoint",
    "Shot",
    "StudyData",
    "neighbor_picture",
    "study_text",
    "write_report",
    "write_study",
]
