"""What an export leaves on disk, and what it refuses."""

import json
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models import classifier
from sjft_tf.serving import export_classifier

SIDE = 16
PLAIN_KERAS = """
import json, sys
import keras, numpy
probabilities = keras.models.load_model(sys.argv[1]).predict(numpy.load(sys.argv[2]), verbose=0)
modules = [name for name in sys.modules if name.startswith("sjft_tf")]
print(json.dumps({"probabilities": probabilities.tolist(), "modules": modules}))
"""
# Exports the model of a file over an earlier export, and dies between the two renames of the version folder.
KILLED = f"""
import os, pathlib, sys
import keras
from sjft_tf.serving import export_classifier
rename = os.rename
def killing(source, destination):
    if pathlib.Path(destination).parts[-2:] == ("saved_model", "1"):
        os.kill(os.getpid(), {signal.SIGKILL})
    rename(source, destination)
os.rename = killing
export_classifier(keras.models.load_model(sys.argv[2]), sys.argv[1], class_names=["x", "y", "z"])
"""


def files(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_plain_keras_loads_the_classifier_with_its_softmax(exported, model, rng, run_alone, tmp_path):
    images = rng.uniform(0, 255, (3, SIDE, SIDE, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    answer = run_alone(PLAIN_KERAS, exported / "model.keras", tmp_path / "images.npy")
    assert answer["modules"] == []
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(classifier(model)(images)), atol=1e-6)


def test_class_names_lie_beside_the_model_in_the_order_of_its_outputs(exported, class_names):
    assert json.loads((exported / "class_names.json").read_text("utf-8")) == class_names


def test_a_mixed_precision_model_answers_in_float32(joint_model, class_names, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        export_classifier(joint_model(), tmp_path, class_names=class_names)
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model" / "1")).signatures["images"]
    answers = loaded(images=tf.fill([1, SIDE, SIDE, 3], 100.0))["probabilities"]
    assert answers.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(answers), 1.0, rtol=1e-6)


def test_a_new_export_replaces_all_of_the_old_one_and_nothing_else(joint_model, class_names, tmp_path, rng):
    image = rng.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    (tmp_path / "notes.txt").write_text("mine")
    export_classifier(joint_model(), tmp_path, class_names=class_names)
    (tmp_path / "saved_model" / "1" / "stale").touch()
    second = joint_model(target_classes=2)
    export_classifier(second, tmp_path, class_names=["left", "right"])

    expected = tf.nn.softmax(classifier(second)(image))
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(image), expected, atol=1e-6)
    served = tf.saved_model.load(str(tmp_path / "saved_model" / "1")).signatures["images"](images=tf.constant(image))
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-6)
    assert json.loads((tmp_path / "class_names.json").read_text()) == ["left", "right"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "class_names.json", "model.keras", "notes.txt", "saved_model",
    ]  # fmt: skip
    assert not (tmp_path / "saved_model" / "1" / "stale").exists()


def test_a_killed_export_leaves_whole_files_and_the_next_one_cleans_up(joint_model, class_names, forked, tmp_path):
    path, second = tmp_path / "export", tmp_path / "second.keras"
    export_classifier(joint_model(), path, class_names=class_names)
    joint_model().save(second)
    killed = forked(KILLED, path, second)
    assert killed.wait() == -signal.SIGKILL, killed.errors
    assert keras.models.load_model(path / "model.keras").output_shape == (None, 3)
    assert json.loads((path / "class_names.json").read_text()) == ["x", "y", "z"]
    assert list((path / "saved_model").iterdir()) == []

    export_classifier(joint_model(), path, class_names=class_names)
    tf.saved_model.load(str(path / "saved_model" / "1"))
    assert not list(path.glob(".staging-*"))


@pytest.mark.parametrize(
    ("names", "card", "message"),
    [
        (["only", "two"], {}, "class_names has 2 names; the target head has 3 classes"),
        (["a", "b", "\udcff"], {}, "class name '\\\\udcff' is not valid Unicode"),
        (["a", "b", "c"], {"licence": "CC0"}, "no key 'licence'"),
    ],
)
def test_what_cannot_be_exported_leaves_the_earlier_export_untouched(exported, model, names, card, message):
    before = files(exported)
    with pytest.raises(InputError, match=message):
        export_classifier(model, exported, class_names=names, card=card)
    assert files(exported) == before


def test_a_model_without_a_target_head_or_a_fixed_size_is_refused(class_names, tmp_path):
    image = keras.Input((None, None, 3))
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(InputError, match="has no head 'target'"):
        export_classifier(keras.Model(image, {"source": logits}), tmp_path, class_names=class_names)
    with pytest.raises(InputError, match=r"input is \(None, None, 3\)"):
        export_classifier(keras.Model(image, {"target": logits}), tmp_path, class_names=class_names)
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(model, class_names, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/export cannot be written: Not a directory"):
        export_classifier(model, tmp_path / "file" / "export", class_names=class_names)
