"""The SavedModel as its clients see it: TensorFlow alone, and a session such as TensorFlow Serving runs."""

import re

import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.images import center_view, decode
from sjft_tf.models import classifier

SIDE = 16
# Prints the answer of `serving_default` to the files named on the command line, and which of our modules it took.
CLIENT = """
import json, pathlib, sys
import tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answers = signature(image_bytes=tf.constant([pathlib.Path(name).read_bytes() for name in sys.argv[2:]]))
answers = {name: values.numpy().tolist() for name, values in answers.items()}
modules = [name for name in sys.modules if name.startswith("sjft_tf")]
print(json.dumps({**answers, "modules": modules}, default=bytes.decode))
"""


@pytest.fixture(scope="module")
def expected(model, pictures):
    """What the joint model's target head says to the center views, computed outside of the SavedModel."""
    views = np.stack([center_view(decode(tf.constant(picture)), SIDE) for picture in pictures])
    return tf.nn.softmax(classifier(model)(views)).numpy()


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported / "saved_model" / "1")).signatures


def test_plain_tensorflow_answers_a_batch_of_mixed_sizes_and_formats_as_keras_does(
    exported, class_names, pictures, expected, run_alone, tmp_path
):
    files = [tmp_path / str(number) for number in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(picture)
    answers = run_alone(CLIENT, exported / "saved_model" / "1", *files)
    assert answers["modules"] == []
    assert len({row.argmax() for row in expected}) > 1 or np.ptp(expected, axis=0).max() > 0.1  # the images differ
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    assert answers["class_names"] == [class_names] * len(pictures)
    assert answers["top_class"] == [class_names[row.argmax()] for row in expected]
    assert answers["valid"] == [True] * len(pictures)


@pytest.mark.parametrize("length", [0, 4, 60])
def test_a_cut_image_gets_an_empty_row_and_leaves_the_others_as_they_are(signatures, pictures, expected, length):
    broken = pictures[0][:length]
    answers = signatures["serving_default"](image_bytes=tf.constant([pictures[0], broken, pictures[1]]))
    assert answers["valid"].numpy().tolist() == [True, False, True]
    assert answers["top_class"].numpy()[1] == b""
    np.testing.assert_array_equal(answers["probabilities"][1], np.zeros(3))
    np.testing.assert_allclose(answers["probabilities"].numpy()[[0, 2]], expected[:2], atol=1e-6)


def test_float_images_get_the_answers_of_their_files(signatures, encode, rng):
    pixels = rng.integers(0, 256, (2, 7 * SIDE, 7 * SIDE, 3))
    by_bytes = signatures["serving_default"](image_bytes=tf.constant([encode(image) for image in pixels]))
    views = tf.stack([center_view(tf.constant(image, tf.uint8), SIDE) for image in pixels])
    by_images = signatures["images"](images=views)
    assert by_images.keys() == by_bytes.keys()
    for name, values in by_images.items():
        np.testing.assert_array_equal(values, by_bytes[name])


def test_an_image_of_no_numbers_gets_an_empty_row(signatures):
    images = tf.stack([tf.fill([SIDE, SIDE, 3], value) for value in (float("nan"), 90.0)])
    answers = signatures["images"](images=images)
    assert answers["valid"].numpy().tolist() == [False, True]
    assert tf.reduce_sum(answers["probabilities"], -1).numpy() == pytest.approx([0, 1])
    assert answers["top_class"].numpy()[0] == b""


def test_the_size_of_a_plain_gray_image_plays_no_part(signatures, model, encode):
    gray = [encode(np.full((*size, 3), 90)) for size in [(40, 23), (16, 16), (9, 31), (1, 1)]]
    answers = signatures["serving_default"](image_bytes=tf.constant(gray))
    expected = tf.nn.softmax(classifier(model)(np.full((1, SIDE, SIDE, 3), 90.0, np.float32)))
    np.testing.assert_allclose(answers["probabilities"], np.repeat(expected, len(gray), axis=0), atol=1e-5)


@pytest.fixture
def saved_model_cli(forked):
    """The tool of that name; it runs signatures in a session, as TensorFlow Serving does."""

    def call(*arguments):
        program = "import sys; from tensorflow.python.tools.saved_model_cli import main; sys.exit(main())"
        finished = forked(program, *arguments)
        assert finished.wait() == 0, finished.errors
        return finished.output

    return call


def test_saved_model_cli_runs_the_bytes_signature(exported, pictures, expected, saved_model_cli, tmp_path):
    np.save(tmp_path / "image_bytes.npy", np.array([*pictures, b"broken"], object), allow_pickle=True)
    saved_model_cli(
        "run", "--dir", exported / "saved_model" / "1", "--tag_set", "serve", "--signature_def", "serving_default",
        "--inputs", f"image_bytes={tmp_path / 'image_bytes.npy'}", "--outdir", tmp_path,
    )  # fmt: skip
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy")[:-1], expected, atol=1e-6)
    assert np.load(tmp_path / "valid.npy").tolist() == [True] * len(pictures) + [False]


def test_saved_model_cli_shows_two_signatures_and_only_ops_that_need_no_python(exported, saved_model_cli):
    text = saved_model_cli("show", "--dir", exported / "saved_model" / "1", "--tag_set", "serve", "--all")
    tensors = {}
    for section in re.split(r"signature_def\['", text.partition("The MetaGraph")[0])[1:]:
        found = re.findall(r"puts\['(\w+)'\] tensor_info:\s+dtype: (\w+)\s+shape: (.*)", section)
        tensors[section.partition("'")[0]] = {name: (dtype, shape) for name, dtype, shape in found}
    answers = {
        "class_names": ("DT_STRING", "(-1, 3)"),
        "probabilities": ("DT_FLOAT", "(-1, 3)"),
        "top_class": ("DT_STRING", "(-1)"),
        "valid": ("DT_BOOL", "(-1)"),
    }
    assert tensors["serving_default"] == {"image_bytes": ("DT_STRING", "(-1)"), **answers}
    assert tensors["images"] == {"images": ("DT_FLOAT", f"(-1, {SIDE}, {SIDE}, 3)"), **answers}
    ops = set(re.findall(r"'(\w+)'", re.search(r"contains the following ops: \{(.*?)\}", text)[1]))
    assert "Conv2D" in ops and not {op for op in ops if "Py" in op}
