"""A checkpoint brings back everything that a step changes, or nothing."""

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.accumulation import JointModel
from sjft_tf.selection import Selection
from sjft_tf.training import (
    Checkpoints,
    NeighborExpansion,
    Position,
    joint_dataset,
    joint_loss,
    joint_sgd,
    load_checkpoint,
    save_checkpoint,
    training_state,
)


def _model(width=8, seed=0):
    """With dropout, whose seeds are part of the state, and batch normalization."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(width)(x)))
    heads = {name: keras.layers.Dense(n, name=name)(x) for name, n in (("target", 3), ("source", 4))}
    model = JointModel(image, heads)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 20)
    model.compile(joint_sgd(schedule), joint_loss(), jit_compile=False)
    return model


def _fit(path, target, source, table, *, rounds=3, killed_after=None):
    """Fit as the docstring of `Checkpoints` says; `killed_after` steps an exception comes."""

    class Killer(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == killed_after:
                raise KeyboardInterrupt

    model, selection = _model(), Selection(table, k0=2)
    checkpoints, killer = Checkpoints(path, model, selection, every=2), Killer()
    began = checkpoints.round, checkpoints.step
    for number in range(checkpoints.round, rounds):
        data = joint_dataset(
            target, source, selection, steps=5, first_step=checkpoints.step, batch_size=4, iter_size=2, image_size=16
        )  # fmt: skip
        callbacks = [NeighborExpansion(selection, target), checkpoints, killer]
        model.fit(data, epochs=number + 1, initial_epoch=number, callbacks=callbacks, verbose=0)
    return began, model, selection


def test_a_fit_killed_at_several_steps_ends_like_one_that_was_not(tmp_path, target, source, table):
    began, unharmed, selection = _fit(tmp_path / "a.npz", target, source, table)
    assert began == (0, 0)
    seen = []
    for killed_after in (3, 2, 4, 6, None):  # the second falls into a round that was entered in its middle
        try:
            began, model, other = _fit(tmp_path / "b.npz", target, source, table, killed_after=killed_after)
        except KeyboardInterrupt:
            continue
        finally:
            seen.append(load_checkpoint(tmp_path / "b.npz", _model(), Selection(table, k0=2)))
    assert [(position.round, position.step) for position in seen] == [(0, 2), (0, 4), (1, 2), (2, 2), (3, 0)]
    for one, another in zip(unharmed.variables, model.variables, strict=True):
        np.testing.assert_array_equal(one, another, err_msg=one.path)
    for one, another in zip(unharmed.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, another, err_msg=one.path)
    np.testing.assert_array_equal(selection.counts, other.counts)
    assert selection.round == other.round == 3


def test_notes_and_position_come_back(tmp_path, table):
    model, selection = _model(), Selection(table, k0=2)
    where = Position(1, 7, [[3, {"target_loss": 0.1}]])
    save_checkpoint(tmp_path / "c.npz", training_state(model, selection), where, made_from="x")
    assert load_checkpoint(tmp_path / "c.npz", _model(seed=1), Selection(table, k0=2), made_from="x") == where


def test_what_cannot_be_gone_on_from_changes_nothing(tmp_path, table, caplog):
    model, selection = _model(), Selection(table, k0=2)
    path = tmp_path / "c.npz"
    assert load_checkpoint(path, model, selection) is None
    other = _model(seed=1)
    save_checkpoint(path, training_state(other, selection), Position(1, 7), made_from="x")
    before = [variable.numpy() for variable in model.variables]
    assert load_checkpoint(path, model, selection, made_from="y") is None
    assert load_checkpoint(path, model, selection, made_from="x", round=0) is None
    path.write_bytes(path.read_bytes()[:-200])
    assert load_checkpoint(path, model, selection, made_from="x") is None
    assert "damaged" in caplog.text
    for variable, values in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, values)


def test_a_checkpoint_of_another_model_is_refused_in_one_line(tmp_path, table):
    selection = Selection(table, k0=2)
    save_checkpoint(tmp_path / "c.npz", training_state(_model(width=9), selection), Position())
    message = r"c.npz is of another model: its model/\d is \[3, 9\], and here .*kernel is \[3, 8\]"
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "c.npz", _model(), selection)
