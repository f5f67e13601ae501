"""Results as lines of text."""

from typing import Any


def metrics_table(metrics: dict[str, Any]) -> str:
    """What metrics.json tells, a line a round."""
    if metrics["test"] is None:
        return "no test domain, so no accuracy"
    return _table(metrics["test"], [(f"round {entry['round'] + 1}", entry) for entry in metrics["test"]["rounds"]])


def fusion_table(fusion: dict[str, Any]) -> str:
    """What fusion.json tells, a line a member."""
    members, test = fusion["members"], fusion["test"]
    if test is None:
        return f"fusion of {len(members)} models; no test domain common to all, so no accuracy"
    rows = [(f"{entry['run']}, round {entry['round'] + 1}", entry) for entry in members]
    return _table(test, [*rows, (f"fusion of {len(members)}", test["final"])])


def _table(test: dict[str, Any], rows: list[tuple[str, dict[str, Any]]]) -> str:
    lines = [
        f"{name}: mean class accuracy {entry['mean_class_accuracy']:.1%}, accuracy {entry['accuracy']:.1%}"
        for name, entry in rows
    ]
    return "\n".join([f"test: {test['domain']}, {test['n']} images", *lines])
