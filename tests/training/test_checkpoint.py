"""A checkpoint brings back everything that a step changes, or nothing; a script that is killed resumes to the same bits."""

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.training import Checkpoint, JointModel, NeighborExpansion, caffe_sgd, joint_dataset
from sjft_tf.training.checkpoint import (
    Saved,
    build_variables,
    read_checkpoint,
    restore,
    save_checkpoint,
    training_state,
)


def _model(width=8, seed=0, kind=JointModel):
    """With dropout, whose seeds are part of the state, and batch normalization."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(width)(x)))
    heads = {name: keras.layers.Dense(n, name=name)(x) for name, n in (("target", 3), ("source", 4))}
    model = kind(image, heads)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 20)
    loss = None if kind is JointModel else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(caffe_sgd(schedule), loss and {"target": loss, "source": loss}, jit_compile=False)
    build_variables(model)
    return model


# One process imports, and forks one child for each start; each kills itself after so many steps, in any round.
SCRIPT = """
import os, signal, sys
import keras, numpy as np
import sjft_tf.training as training
from sjft_tf.domains import ImageFolder
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection

class Killer(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

def script(path):
    keras.utils.set_random_seed(0)
    target, source = ImageFolder(sys.argv[2]), ImageFolder(sys.argv[3])
    table = NeighborTable(np.tile(np.arange(12, dtype=np.int32), (12, 1)), np.zeros((12, 12), np.float32))
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x)))
    trunk = keras.Model(image, x)
    selection = Selection(table, k0=2)
    model = training.joint_model(trunk, target_classes=3, source_classes=4, iter_size=2)
    averaged = {"use_ema": True, "ema_momentum": 0.5}
    model.compile(training.caffe_sgd(keras.optimizers.schedules.CosineDecay(0.1, 20), **averaged))
    data = training.joint_dataset(target, source, selection, steps=5, batch_size=4, iter_size=2, image_size=16)
    curves = training.LossCurves()
    checkpoint = training.Checkpoint(path, every=2, kept={"curves": curves})
    averages = training.AveragedWeights()
    callbacks = [curves, averages, training.NeighborExpansion(selection, target), averages.back, checkpoint, Killer()]
    history = model.fit(data, epochs=3, callbacks=callbacks, verbose=0).history
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    logs = {f"history/{name}": np.array(values) for name, values in history.items()}
    curve = {f"curve/{name}": np.array(values) for name, values in curves.curve().items()}
    arrays = map(keras.ops.convert_to_numpy, variables)
    np.savez(path + ".end.npz", *arrays, k=selection.counts, r=selection.round, **logs, **curve)

for name, kills in (("straight", []), ("killed", [3, 2, 4, 6, 1])):
    for killed_after in [*kills, None]:
        child = os.fork()
        if child == 0:
            script(os.path.join(sys.argv[1], name + ".npz"))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert (os.WTERMSIG(status) == signal.SIGKILL) if killed_after else status == 0, (killed_after, status)
"""


@pytest.mark.arithmetic
def test_a_script_that_is_killed_at_any_step_and_started_again_ends_in_the_same_bits(forked, tmp_path, image_folders):
    starts = forked(SCRIPT, tmp_path, image_folders["target"], image_folders["source"])
    assert starts.wait() == 0, starts.errors[-3000:]
    with np.load(tmp_path / "straight.npz.end.npz") as one, np.load(tmp_path / "killed.npz.end.npz") as other:
        assert one.files == other.files and int(one["r"]) == 3
        assert one["history/loss"].shape == (3,) and one["curve/step"].tolist() == [1, 2, 3, 4, 5]
        assert one["k"].max() > 2
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_what_was_done_already_is_not_done_again(tmp_path, target, source, table):
    def fitted():
        model, selection = _model(), Selection(table, k0=2)
        data = joint_dataset(target, source, selection, steps=2, batch_size=4, image_size=16)
        checkpoint = Checkpoint(tmp_path / "c.npz")
        history = model.fit(data, epochs=2, callbacks=[NeighborExpansion(selection, target), checkpoint], verbose=0)
        return model, selection, checkpoint, history.history

    one, other = fitted(), fitted()
    assert other[1].round == 2 and (other[2].round, other[2].step) == (2, 0)
    np.testing.assert_array_equal(one[1].counts, other[1].counts)
    assert one[3] == other[3] and len(one[3]["wrong"]) == 2
    for a, b in zip(one[0].variables, other[0].variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_keras_model_is_told_where_to_begin(tmp_path, target, source, table):
    selection = Selection(table, k0=2)
    data = joint_dataset(target, source, selection, steps=1, batch_size=4, image_size=16)
    for number in range(2):
        checkpoint, settings = Checkpoint(tmp_path / "c.npz", selection), {"verbose": 0, "shuffle": False}
        model = _model(kind=keras.Model)
        model.fit(data, epochs=number + 1, initial_epoch=checkpoint.round, callbacks=[checkpoint], **settings)
    assert checkpoint.round == 2
    with pytest.raises(InputError, match=r"stands in round 3, and training begins with 1; give fit\(initial_epoch="):
        model.fit(data, epochs=3, callbacks=[Checkpoint(tmp_path / "c.npz", selection)], **settings)
    with pytest.raises(InputError, match="needs the selection"):
        model.fit(data, callbacks=[Checkpoint(tmp_path / "d.npz")], **settings)


def test_what_training_does_not_resume_from_changes_nothing(tmp_path, table, caplog):
    selection, path = Selection(table, k0=2), tmp_path / "c.npz"
    assert read_checkpoint(path) is None
    save_checkpoint(path, Saved(1, 7, [3, {"a": 0.1}], training_state(_model(), selection)), made_from="x")
    saved = read_checkpoint(path, made_from="x")
    assert (saved.round, saved.step, saved.notes) == (1, 7, [3, {"a": 0.1}])
    assert read_checkpoint(path, made_from="y") is None
    assert Checkpoint(path, made_from="x", round=0).round == 0 and Checkpoint(path, made_from="y").round == 0
    path.write_bytes(path.read_bytes()[:-200])
    assert read_checkpoint(path, made_from="x") is None
    assert "damaged" in caplog.text


def test_a_checkpoint_of_another_model_is_refused_in_one_line_and_changes_nothing(tmp_path, table):
    selection, path, model = Selection(table, k0=2), tmp_path / "c.npz", _model()
    save_checkpoint(path, Saved(0, 1, None, training_state(_model(width=9), selection)))
    before = [variable.numpy() for variable in model.variables]
    message = r"c.npz is of another model: its model/\d is \[3, 9\], and here .*kernel is \[3, 8\]"
    with pytest.raises(InputError, match=message):
        restore(read_checkpoint(path), model, selection, path=path)
    for variable, values in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, values)
