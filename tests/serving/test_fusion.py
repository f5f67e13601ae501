"""A fusion against the mean of its members' own answers, in Keras and as served; what it refuses; where it may go."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.images import center_view, decode
from sjft_tf.serving import (
    check_fusion_folder,
    export_classifier,
    export_probabilities,
    fused,
    own_copy,
    softmax_classifier,
)

SIDE = 16
FUSION = {"members": [{"run": "Läufe", "round": 0}], "test": None}


@pytest.fixture(scope="module")
def members(joint_model):
    """Three classifiers whose layers have the same names, and whose answers differ; the last in mixed precision."""
    models = []
    for seed, policy in enumerate(("float32", "float32", "mixed_bfloat16")):
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(policy)
        models.append(own_copy(softmax_classifier(joint_model()), f"member_{seed}"))
    keras.config.set_dtype_policy("float32")
    return models


@pytest.fixture(scope="module")
def folder(members, class_names, tmp_path_factory):
    """An exported fusion, made while another precision was the default."""
    path = tmp_path_factory.mktemp("fusion") / "fused"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        card = {"members": [{"run": "a_run", "round": 1, "accuracy": 0.5}]}
        export_probabilities(fused(members), path, class_names=class_names, card=card, fusion=FUSION)
    finally:
        keras.config.set_dtype_policy("float32")
    return path


def mean(members, images):
    each = [np.asarray(member(images)) for member in members]
    assert all(answer.dtype == np.float32 for answer in each)
    assert max(np.abs(each[0] - other).max() for other in each[1:]) > 0.05
    return np.mean(np.asarray(each, np.float64), axis=0)


def test_plain_keras_answers_with_the_mean_of_the_members(folder, members, rng):
    images = rng.uniform(0, 255, (7, SIDE, SIDE, 3)).astype(np.float32)
    answers = keras.models.load_model(folder / "model.keras")(images)
    assert answers.dtype == "float32"
    np.testing.assert_allclose(answers, mean(members, images), atol=1e-6)


def test_both_signatures_answer_with_the_mean_and_flag_what_is_no_image(folder, members, pictures, class_names):
    served = tf.saved_model.load(str(folder / "saved_model" / "1")).signatures
    views = np.stack([center_view(decode(picture), SIDE) for picture in pictures])
    expected = mean(members, views)
    by_bytes = served["serving_default"](image_bytes=tf.constant([*pictures, b"no image"]))
    np.testing.assert_array_equal(by_bytes["valid"], [True] * len(pictures) + [False])
    np.testing.assert_allclose(by_bytes["probabilities"][:-1], expected, atol=1e-6)
    assert not by_bytes["probabilities"][-1].numpy().any() and by_bytes["top_class"][-1] == b""
    assert [name.decode() for name in by_bytes["top_class"][:-1].numpy()] == [
        class_names[i] for i in expected.argmax(-1)
    ]
    np.testing.assert_allclose(served["images"](images=tf.constant(views))["probabilities"], expected, atol=1e-6)


def test_the_folder_is_that_of_an_export_and_says_what_is_fused(folder):
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "class_names.json", "fusion.json", "model.keras", "saved_model",
    }  # fmt: skip
    assert (folder / "saved_model/1/assets.extra/tf_serving_warmup_requests").stat().st_size
    assert json.loads((folder / "fusion.json").read_text("utf-8")) == FUSION
    assert "| a\\_run | 2 | not measured | 50.0 % |" in (folder / "README.md").read_text("utf-8")


def test_a_copy_stays_as_it_is_when_the_model_changes(model, rng):
    images = rng.uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    one = own_copy(softmax_classifier(model), "one")
    before, weights = one(images).numpy(), model.get_weights()
    model.set_weights([weight * 0.5 for weight in weights])
    np.testing.assert_array_equal(one(images), before)
    model.set_weights(weights)
    np.testing.assert_allclose(before, softmax_classifier(model)(images), atol=1e-6)


def classifier_of(side, classes, name):
    image = keras.Input((side, side, 3))
    features = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(classes, "softmax")(features), name=name)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "nothing to fuse: .* two models or more, not 1"),
        ([(8, 3)], r"one has images \(16, 16, 3\) and other \(8, 8, 3\)"),
        ([(16, 4)], r"one has probabilities \(3,\) and other \(4,\)"),
    ],
)
def test_models_that_do_not_fit_together_are_refused(others, message):
    with pytest.raises(InputError, match=message):
        fused([classifier_of(16, 3, "one"), *(classifier_of(*other, "other") for other in others)])


def test_a_single_export_over_a_fusion_takes_its_record_away(model, class_names, tmp_path):
    path = tmp_path / "export"
    path.mkdir()
    for name in ("fusion.json", "model.keras"):
        (path / name).touch()
    check_fusion_folder(path)
    export_classifier(model, path, class_names=class_names)
    assert not (path / "fusion.json").exists()
    with pytest.raises(InputError, match=r"export holds 'saved_model', which is of no fusion"):
        check_fusion_folder(path)


def test_a_fusion_goes_to_a_new_an_empty_or_its_own_folder(tmp_path):
    check_fusion_folder(tmp_path / "new" / "folder")
    check_fusion_folder(tmp_path)
    staged = tmp_path / ".staging-killed"
    staged.mkdir()
    (tmp_path / "model.keras").touch()  # a killed export of a run leaves this
    with pytest.raises(InputError, match="holds 'model.keras', which is of no fusion"):
        check_fusion_folder(tmp_path)
    (staged / "fusion.json").touch()  # and a killed fusion, this too
    check_fusion_folder(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds 'notes.txt'"):
        check_fusion_folder(tmp_path)
    with pytest.raises(InputError, match="notes.txt cannot be written: Not a directory"):
        check_fusion_folder(tmp_path / "notes.txt")
