"""What callbacks predict with."""

import keras


def plain_model(callback: keras.callbacks.Callback) -> keras.Model:
    """The callback's model; with several workers, whose model Keras cannot predict with, a copy that takes its weights."""
    plain = callback.params.get("plain")
    if plain is None:
        return callback.model
    plain.set_weights(callback.model.get_weights())
    return plain
