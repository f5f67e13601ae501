"""What a joint model is trained on: terms, each one output with its loss, its rows, its weight and its metrics.

A tuple of terms is the one place from which masks, losses, metrics and the history are made. `joint_terms` has those of the
paper; a further term is one more `Term` in the tuple, and one more output of the model:

    terms = (*joint_terms(), Term("rotation", rows="all", loss=keras.losses.Huber(), weight=0.1))
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError

TARGET, SOURCE = "target", "source"
ROWS = (TARGET, SOURCE, "all")
LOSSES = ("fair", "authors")
MEAN_LOSS = "mean_loss"


@dataclasses.dataclass(frozen=True)
class Term:
    """One output of a joint model, and what it is trained on and measured by.

    Attributes:
        name: of the model's output, and of the layer that makes it where that is a head.
        rows: which rows of a batch count: "target", "source" or "all".
        loss: of labels `[B]` and outputs `[B, ...]`, one number a row.
        weight: its factor in the sum of losses, before the mean of its loss over the rows that count.
        metrics: of the same; each is copied where it is used. The mean loss over the term's rows is measured anyway.

    Raises:
        InputError: `rows` is none of the three.
    """

    name: str
    rows: str
    loss: keras.losses.Loss
    weight: float = 1.0
    metrics: tuple[keras.metrics.Metric, ...] = ()

    def __post_init__(self) -> None:
        if self.rows not in ROWS:
            raise InputError(f"rows of term {self.name!r} are {self.rows!r}; they must be one of {', '.join(ROWS)}")

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        loss, metrics = map(keras.saving.serialize_keras_object, (self.loss, list(self.metrics)))
        return {"name": self.name, "rows": self.rows, "loss": loss, "weight": self.weight, "metrics": metrics}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Term":
        """The term that `get_config` told of."""
        loss, metrics = (keras.saving.deserialize_keras_object(config[name]) for name in ("loss", "metrics"))
        return cls(**{**config, "loss": loss, "metrics": tuple(metrics)})


def joint_terms(*, source: bool = True, source_weight: float = 1.0, losses: str = "fair") -> tuple[Term, ...]:
    """The two terms of the paper: softmax cross-entropy of each domain's logits over its own rows.

    Args:
        source: whether there is a source; without one the target's term is alone, and its weight is 1.
        source_weight: weight of the source's term.
        losses: "fair": `mean(target) + source_weight mean(source)`, so that the target pulls with the same force whatever
            is borrowed beside it. "authors": half of that, as the authors' code divides by all rows of a batch; the target
            alone then pulls twice as hard as beside a source.

    Raises:
        InputError: `losses` is neither.
    """
    if losses not in LOSSES:
        raise InputError(f"losses is {losses!r}; it must be one of {', '.join(LOSSES)}")
    share = 0.5 if source and losses == "authors" else 1.0
    weights = {TARGET: share, SOURCE: share * source_weight} if source else {TARGET: 1.0}
    return tuple(
        Term(
            name, name, keras.losses.SparseCategoricalCrossentropy(from_logits=True), weight,
            (keras.metrics.SparseCategoricalAccuracy(name="accuracy"),),
        )
        for name, weight in weights.items()
    )  # fmt: skip


def has_source(terms: Sequence[Term]) -> bool:
    """Whether batches for these terms hold rows of the source, every second one; else they are of the target alone."""
    return any(term.rows != TARGET for term in terms)


def masks(terms: Sequence[Term], is_target: tf.Tensor) -> dict[str, tf.Tensor]:
    """Which rows count, by term: bool like `is_target`, which is `[B]`."""
    rows = {TARGET: is_target, SOURCE: ~is_target, "all": tf.ones_like(is_target)}
    return {term.name: rows[term.rows] for term in terms}


def loss_weights_of(terms: Sequence[Term]) -> dict[str, float]:
    """For `compile(loss_weights=...)`: by term the factor on the loss as Keras reduces it.

    Keras divides the losses of the n rows that count by all B rows of the batch, so that it has n / B of their mean. Beside
    a source n is B / 2 for the rows of one domain (batches are T, S, T, S), and the factor is twice the weight:
    `2 weight sum / B = weight sum / n`. Of all rows, or of the target alone, n is B, and it is the weight.
    """
    of_one_domain = 2.0 if has_source(terms) else 1.0
    return {term.name: term.weight * (1.0 if term.rows == "all" else of_one_domain) for term in terms}


def weighted_metrics_of(terms: Sequence[Term]) -> dict[str, list[keras.metrics.Metric]]:
    """For `compile(weighted_metrics=...)`: new ones, of each term's own rows.

    As plain `metrics` they would count the other domain's rows as errors.
    """
    # Keras puts the output's name before a metric's where there are several outputs, and only there.
    prefix = f"{terms[0].name}_" if len(terms) == 1 else ""

    def copied(metric: keras.metrics.Metric) -> keras.metrics.Metric:
        return type(metric).from_config({**metric.get_config(), "name": prefix + metric.name})

    return {term.name: [MeanLoss(term.loss, prefix + MEAN_LOSS), *map(copied, term.metrics)] for term in terms}


def history(terms: Sequence[Term], logs: Mapping[str, float]) -> dict[str, float]:
    """From what Keras logs, each term's loss and metrics over its own rows: `target_loss`, `target_accuracy`, ...

    Keras' own `target_loss` divides by the rows of the whole batch.
    """
    found: dict[str, float] = {}
    for term in terms:
        found[f"{term.name}_loss"] = float(logs[f"{term.name}_{MEAN_LOSS}"])
        found |= {f"{term.name}_{metric.name}": float(logs[f"{term.name}_{metric.name}"]) for metric in term.metrics}
    return found


@keras.saving.register_keras_serializable(package="sjft_tf")
class MeanLoss(keras.metrics.Mean):
    """The mean of a loss over the rows that count."""

    def __init__(self, loss: keras.losses.Loss, name: str = MEAN_LOSS, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.loss = loss

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the rows of a batch."""
        super().update_state(self.loss.call(y_true, y_pred), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MeanLoss":
        """The metric that `get_config` told of."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
