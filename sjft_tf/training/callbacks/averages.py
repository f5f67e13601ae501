"""Averaged weights: what a round ends with is measured and kept by the average that the optimizer makes of its updates."""

import keras

from sjft_tf.errors import InputError


class AveragedWeights(keras.callbacks.Callback):
    """At the end of every epoch the model has the averages of its weights, until `back` gives it its own again.

    Keras' optimizers make them, exponential ones: `caffe_sgd(0.01, use_ema=True, ema_momentum=0.99)`. Callbacks between the
    two see the model averaged; `Checkpoint` comes after both:

        averages = AveragedWeights()
        model.fit(data, callbacks=[averages, NeighborExpansion(selection, target), averages.back, Checkpoint("c.npz")])

    Averages are of trainable variables: the moving averages of batch normalization stay those of the last steps. When `fit`
    returns, Keras leaves the averages in the model. Its own `SwapEMAWeights` goes on until the next epoch begins, so that a
    checkpoint would take averages for weights, and exchanges them by sums, which round.

    Attributes:
        back: the callback that ends it.

    Raises:
        InputError: the optimizer makes no averages.
    """

    def __init__(self) -> None:
        super().__init__()
        self.back = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: exchange(self.model))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take the averages."""
        exchange(self.model)


def exchange(model: keras.Model) -> None:
    """Exchange the model's weights and their averages in its optimizer, to the bit."""
    with model.distribute_strategy.scope():
        for variable, average in _pairs(model):
            value = keras.ops.convert_to_numpy(variable)
            variable.assign(average)
            average.assign(value)


def begin_anew(model: keras.Model) -> None:
    """Averages, if the optimizer makes any, begin with the present weights."""
    for variable, average in _pairs(model) if model.optimizer.use_ema else ():
        average.assign(variable)


def copy_averages(model: keras.Model, copy: keras.Model) -> None:
    """Give the optimizer of a copy the averages, if there are any, of the model's."""
    if model.optimizer.use_ema:
        copy.optimizer.build(copy.trainable_variables)
        for (_, here), (_, there) in zip(_pairs(copy), _pairs(model), strict=True):
            here.assign(keras.ops.convert_to_numpy(there))


def _pairs(model: keras.Model) -> list[tuple[keras.Variable, keras.Variable]]:
    """Each trainable variable and its average."""
    if not model.optimizer.use_ema:
        raise InputError("the optimizer makes no averages of the weights; make it with use_ema=True")
    averages = [variable for variable in model.optimizer.variables if variable.name.endswith("_average")]
    return list(zip(model.trainable_variables, averages, strict=True))
