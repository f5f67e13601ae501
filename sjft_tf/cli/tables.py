"""Results as lines of text."""

from typing import Any


def metrics_table(metrics: dict[str, Any]) -> str:
    """What metrics.json tells, a line a round."""
    if metrics["test"] is None:
        return "no test domain, so no accuracy"
    lines = [f"test: {metrics['test']['domain']}, {metrics['test']['n']} images"]
    for entry in metrics["test"]["rounds"]:
        lines.append(
            f"round {entry['round'] + 1}: mean class accuracy {entry['mean_class_accuracy']:.1%}, "
            f"accuracy {entry['accuracy']:.1%}"
        )
    return "\n".join(lines)


def fusion_table(fusion: dict[str, Any]) -> str:
    """What fusion.json tells, a line a member."""
    members = fusion["members"]
    if fusion["test"] is None:
        return f"fusion of {len(members)} models; no test domain common to all, so no accuracy"
    rows = [(f"{entry['run']}, round {entry['round'] + 1}", entry) for entry in members]
    rows.append((f"fusion of {len(members)}", fusion["test"]["final"]))
    lines = [
        f"{name}: mean class accuracy {entry['mean_class_accuracy']:.1%}, accuracy {entry['accuracy']:.1%}"
        for name, entry in rows
    ]
    return "\n".join([f"test: {fusion['test']['domain']}, {fusion['test']['n']} images", *lines])
