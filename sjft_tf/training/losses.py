"""What the two heads are trained on and measured by; for models whose outputs `target` and `source` are logits."""

import keras


def joint_loss(heads: tuple[str, ...] = ("target", "source")) -> dict[str, keras.losses.Loss]:
    """Softmax cross-entropy for each head.

    With the masks of `joint_dataset` and Keras' default reduction, which divides by all rows of the batch, the sum over
    the heads is the authors' loss, `0.5 mean(target) + 0.5 mean(source)`.
    """
    return {head: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for head in heads}


def joint_metrics(heads: tuple[str, ...] = ("target", "source")) -> dict[str, list[keras.metrics.Metric]]:
    """Accuracy and mean loss of each head over its own domain's rows.

    For `compile(weighted_metrics=...)`; as plain `metrics` they would count the other domain's rows as errors.
    """
    return {
        head: [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"),
        ]
        for head in heads
    }
