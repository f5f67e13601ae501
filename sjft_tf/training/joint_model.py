"""The model of joint fine-tuning: a functional Keras model that knows its objective.

Its terms are the defaults of `compile`, its `train_step` can take several batches for one update, and its `fit` resumes from
a `Checkpoint`.
"""

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError, check_at_least
from sjft_tf.models import build_trunk, dense_heads, load_weights, own_trunk
from sjft_tf.models.normalization import set_batch_normalization
from sjft_tf.training.accumulation import accumulated_gradients, check_rows
from sjft_tf.training.callbacks.checkpoint import first_epoch
from sjft_tf.training.objectives import (
    SOURCE,
    TARGET,
    Term,
    has_source,
    joint_terms,
    loss_weights_of,
    weighted_metrics_of,
)


@keras.saving.register_keras_serializable(package="sjft_tf")
class JointModel(keras.Model):
    """A functional Keras model with one output for each term of its objective.

    `compile(optimizer)` is enough: losses, their weights and metrics come from the terms, the latter masked to each term's
    rows, and XLA is off where there is no GPU. What `compile` is given wins.

    With `iter_size` n an update is by the mean gradient of n batches, as with Caffe's `iter_size`: a batch of data then
    holds the rows of n, see `joint_dataset`. The moving averages of batch normalization move with each of them; memory is
    that of one, and of one more set of gradients. It holds under `tf.distribute`, too, where Keras'
    `gradient_accumulation_steps` fails.

    Args:
        inputs, outputs, name: as of `keras.Model`; the outputs a dictionary.
        terms: the objective; None: the two of the paper, as far as there are outputs `target` and `source`.
        iter_size: batches an update.

    Raises:
        InputError: terms that the outputs do not have, or an `iter_size` below 1.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        name: str | None = None,
        *,
        terms: Sequence[Term] | None = None,
        iter_size: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        check_at_least(1, iter_size=iter_size)
        if terms is None:
            terms = [term for term in joint_terms() if term.name in self.output]
        missing = [term.name for term in terms if term.name not in self.output]
        if missing:
            raise InputError(f"model {self.name} has no output {missing[0]!r}; it has {', '.join(self.output)}")
        self.terms, self.iter_size = tuple(terms), iter_size

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        jit_compile: Any = "auto",
        **settings: Any,
    ) -> None:
        """As of `keras.Model`; what is not given comes from the terms, and `metrics` are weighted, too."""
        if loss is None:
            loss = {term.name: term.loss for term in self.terms}
            if loss_weights is None:
                loss_weights = loss_weights_of(self.terms)
        if metrics is None and weighted_metrics is None:
            weighted_metrics = weighted_metrics_of(self.terms)
        if jit_compile == "auto" and not tf.config.list_physical_devices("GPU"):
            jit_compile = False  # XLA is several times slower on processors
        super().compile(
            optimizer=optimizer, loss=loss, loss_weights=loss_weights,
            weighted_metrics=metrics if weighted_metrics is None else weighted_metrics,
            jit_compile=jit_compile, **settings,
        )  # fmt: skip
        if getattr(self.optimizer, "heads", ()) is None:
            self.optimizer.heads = tuple(self.output)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self, x: Any = None, *arguments: Any, callbacks: Any = None, initial_epoch: int = 0, **settings: Any
    ) -> Any:
        """As of `keras.Model`; with a `Checkpoint` among the callbacks it begins with the epoch that this stands in."""
        begin = first_epoch(callbacks, otherwise=initial_epoch)
        if isinstance(x, tf.data.Dataset):
            settings.setdefault("shuffle", False)  # Keras warns that it leaves a dataset's order alone
        return super().fit(x, *arguments, callbacks=callbacks, initial_epoch=begin, **settings)

    def train_step(self, data: tuple) -> dict[str, Any]:
        """One update; the running means of the metrics come back.

        Raises:
            InputError: a replica gets an odd number of rows, so not as many of the target as of the source; or rows do not
                divide into `iter_size` batches.
        """
        in_pairs = has_source(self.terms)
        check_rows(data[0], self.iter_size, in_pairs=in_pairs)
        if self.iter_size == 1:
            return super().train_step(data)
        gradients = accumulated_gradients(self, data, self.iter_size, in_pairs=in_pairs)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self.get_metrics_result()

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        terms = [term.get_config() for term in self.terms]
        return {**super().get_config(), "terms": terms, "iter_size": self.iter_size}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "JointModel":
        """The model that `get_config` told of."""
        config = dict(config)
        terms, iter_size = config.pop("terms"), config.pop("iter_size")
        model = super().from_config(config, custom_objects=custom_objects)
        model.terms, model.iter_size = tuple(Term.from_config(term) for term in terms), iter_size
        return model


def joint_model(
    trunk: str | keras.Model,
    *,
    target_classes: int,
    source_classes: int | None,
    weights: str | os.PathLike[str] | None = None,
    image_size: int = 224,
    width: float = 1.0,
    alpha: float | None = None,
    stem: str = "imagenet",
    bn: str = "mixed",
    bn_momentum: float | None = None,
    source_weight: float = 1.0,
    losses: str = "fair",
    iter_size: int = 1,
) -> JointModel:
    """A trunk that the target and the source domain share, with one dense head each.

    The layers lie flat in the model, so that published weights, checkpoints and `classifier()` have the same names.
    The heads start from N(0, 0.01) with bias 0 even when the file `weights` holds heads; `load_weights` on the result
    restores those too. Under mixed precision (Keras' global policy) the scaling of the input and both heads stay
    float32.

    Args:
        trunk: `"resnet10v2"`, 18, 34, 50, 101, 152; `"resnet50v2_identity"`, 101, 152, the authors' layout; a network of
            `keras.applications` in lower case (`"mobilenetv2"`); or a functional `keras.Model` of your own from RGB images
            0..255 to features `[B, F]` or a feature map `[B, h, w, C]`, which is averaged. Its layers are then those of the
            joint model, with their weights, but for `bn="per_domain"`, which takes a copy.
        target_classes, source_classes: outputs of the heads; without `source_classes` there is no source head.
        weights: of the trunk: `None` (random, or as they are in your own), `"imagenet"` (published by Keras), or a file for
            `load_weights`.
        image_size: S, in pixels; of a trunk of your own, its input has it. Neither has it any of the next three.
        width: factor on the kernels of every layer, for the ResNets V2.
        alpha: the same for the MobileNets.
        stem: `"small"` gives the ResNets V2 a 3x3 stride 2 stem without pooling, for images of about 64 px.
        bn: what batch normalizations do in training. `"mixed"`: statistics of target and source rows together.
            `"per_domain"`: of each domain alone, with the target's kept for inference (so the source head is not to be
            evaluated); rows must come T, S, T, S; without `source_classes` the same as `"mixed"`. `"frozen"`: those of the
            weights throughout, which with their scale and shift stay as they are (Keras' `trainable = False`).
            `"recalibrate"`: as `"mixed"`; `BatchNormalizationRecalibration` measures them again after each round.
        bn_momentum: of the moving averages of every batch normalization; None: 0.99, or what your own trunk has. They
            describe the last 1 / (1 - momentum) steps or so: in short rounds take 0.9, or they lag behind the weights.
        source_weight: weight of the source's term.
        losses: `"fair"` or `"authors"`, see `joint_terms`.
        iter_size: batches for one update, see `JointModel`.

    Returns:
        A functional model: input float32 `[B, S, S, 3]`, RGB 0..255; outputs
        `{"target": [B, target_classes], "source": [B, source_classes]}`, float32 logits.

    Raises:
        InputError: unknown trunk, impossible argument, or weights that cannot be used.

    Reference: Ge & Yu, CVPR 2017, section 3.1.
    """
    classes = {TARGET: target_classes} | ({} if source_classes is None else {SOURCE: source_classes})
    by_domain = bn == "per_domain" and source_classes is not None
    normalization = "mixed" if bn == "per_domain" else bn
    if isinstance(trunk, str):
        base = build_trunk(
            trunk, image_size=image_size, width=width, alpha=alpha, stem=stem, imagenet=weights == "imagenet",
            bn=normalization, bn_momentum=0.99 if bn_momentum is None else bn_momentum,
        )  # fmt: skip
    else:
        base = own_trunk(trunk, bn=normalization, bn_momentum=bn_momentum)
    if weights is not None and not (isinstance(trunk, str) and weights == "imagenet"):
        load_weights(base, weights)
    heads = keras.Model(base.input, dense_heads(base.output, classes))
    if by_domain:  # only now, so that weights begin as in the other modes
        heads = set_batch_normalization(heads, bn, None)
    terms = joint_terms(source=source_classes is not None, source_weight=source_weight, losses=losses)
    return JointModel(heads.input, heads.output, name=f"{base.name}_joint", terms=terms, iter_size=iter_size)
