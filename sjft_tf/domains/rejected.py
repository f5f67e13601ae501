"""The list of files that were left out."""

import csv
import io
from collections.abc import Mapping

from sjft_tf.domains.domain import Domain


def rejected_csv(domains: Mapping[str, Domain]) -> str:
    """The text of `rejected.csv`.

    Args:
        domains: by role (target, test, source, ...).

    Returns:
        CSV with the header `domain,id,reason` and a line for each file that was left out, by role, then by id.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("domain", "id", "reason"))
    for role, domain in domains.items():
        rows.writerows((role, file.id, file.reason) for file in domain.rejected)
    return text.getvalue()
