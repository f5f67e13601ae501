"""Weight files by layer name: round trips, what the report says, and that what is refused changes nothing."""

import logging
import zipfile

import h5py
import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models import load_weights
from sjft_tf.training import joint_model


def small_model(kernels=4, *, classes=3, numbered=False, extra=False):
    """Image to two heads; `kernels` are those of the second convolution; `numbered` leaves naming both to Keras."""
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name=None if numbered else "first")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(kernels, 3, name=None if numbered else "second")(x)
    if extra:
        x = keras.layers.Conv2D(kernels, 1, name="extra")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    heads = {name: keras.layers.Dense(n, name=name)(x) for name, n in (("target", classes), ("source", 5))}
    return keras.Model(image, heads, name="small")


def as_npz(model, path):
    np.savez(path, **{variable.path: variable.numpy() for variable in model.weights})


def as_nested_npz(model, path):
    """Below another name, and in alphabetical order."""
    arrays = {f"trunk/block/{variable.path}": variable.numpy() for variable in model.weights}
    np.savez(path, **dict(sorted(arrays.items())))


def as_published(model, path):
    """The layout of the files that Keras publishes: a group per layer, the order of its arrays in an attribute."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/v{number}:0" for number in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values


WRITERS = {
    "plain.npz": as_npz,
    "nested.npz": as_nested_npz,
    "new.weights.h5": lambda model, path: model.save_weights(path),
    "old.h5": lambda model, path: model.save(path),
    "published.h5": as_published,
    "whole.keras": lambda model, path: model.save(path),
}


def write(model, folder, name):
    WRITERS[name](model, folder / name)
    return folder / name


def values(model):
    return [variable.numpy() for variable in model.weights]


def assert_same_weights(ours, theirs):
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=mine.path)


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_restores_every_layer(name, tmp_path):
    written, model = small_model(), small_model()
    report = load_weights(model, write(written, tmp_path, name))
    assert_same_weights(model, written)
    assert sorted(report.matched) == ["first", "norm", "second", "source", "target"]
    assert (report.missing, report.unused, report.mismatched) == ((), (), ())


@pytest.mark.parametrize("name", WRITERS)
def test_an_optimizers_arrays_are_no_layers(name, tmp_path):
    written = small_model()
    written.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss={"target": "mse", "source": "mse"})
    written.optimizer.build(written.trainable_variables)
    assert load_weights(small_model(), write(written, tmp_path, name)).unused == ()


@pytest.mark.parametrize("name", WRITERS)
def test_what_did_not_match_is_reported_and_logged_in_one_line(name, tmp_path, caplog):
    path = write(small_model(extra=True), tmp_path, name)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert load_weights(small_model(), path).unused == ("extra",)
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == f"weights {path}: 5 layers filled; not in the model: extra"


@pytest.mark.parametrize("name", WRITERS)
def test_a_trunk_layer_that_got_nothing_is_a_warning(name, tmp_path, caplog):
    path = write(small_model(), tmp_path, name)
    caplog.clear()
    assert load_weights(small_model(extra=True), path).missing == ("extra",)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"weights {path}: 5 layers filled; not in the file: extra"


@pytest.mark.parametrize("name", WRITERS)
def test_numbered_layers_pair_in_order_whatever_the_process_built_before(name, tmp_path):
    keras.utils.clear_session()  # restarts Keras' numbers
    for _ in range(9):
        keras.layers.Conv2D(1, 1)
    written, model = small_model(numbered=True), small_model(numbered=True)
    assert [written.layers[1].name, written.layers[3].name] == ["conv2d_9", "conv2d_10"]
    report = load_weights(model, write(written, tmp_path, name))
    assert_same_weights(model, written)
    assert report.unused == report.missing == ()


@pytest.mark.parametrize("name", WRITERS)
def test_heads_for_other_classes_are_left_alone(name, tmp_path):
    written, model = small_model(classes=7), small_model()
    before = model.get_layer("target").get_weights()
    report = load_weights(model, write(written, tmp_path, name))
    assert report.mismatched == ("target",) and report.missing == report.unused == ()
    for ours, expected in zip(model.get_layer("target").get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(model.get_layer("source").kernel, written.get_layer("source").kernel)


@pytest.mark.parametrize("name", WRITERS)
def test_other_shapes_are_refused_with_both_and_change_nothing(name, tmp_path):
    model = small_model()
    before = values(model)
    path = write(small_model(kernels=6), tmp_path, name)
    with pytest.raises(InputError, match=r"'second'.*\(3, 3, 4, 6\).* in the file .*\(3, 3, 4, 4\)"):
        load_weights(model, path)
    for ours, expected in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_file_without_any_of_the_layers_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"elsewhere/kernel": np.zeros(3)})
    with pytest.raises(InputError, match="fit no layer of small: the file has elsewhere; the model has first, norm"):
        load_weights(small_model(), tmp_path / "other.npz")


def test_a_layer_with_a_part_missing_is_refused(tmp_path):
    np.savez(tmp_path / "part.npz", **{"first/kernel": np.zeros((3, 3, 3, 4))})
    with pytest.raises(InputError, match=r"'first' is kernel \(3, 3, 3, 4\) in the file but kernel .*, bias \(4,\)"):
        load_weights(small_model(), tmp_path / "part.npz")


def test_half_precision_arrays_become_the_variables_type(tmp_path):
    written, model = small_model(), small_model()
    half = {variable.path: variable.numpy().astype(np.float16) for variable in written.weights}
    np.savez(tmp_path / "half.npz", **half)
    load_weights(model, tmp_path / "half.npz")
    for variable in model.weights:
        assert variable.dtype == "float32"
        np.testing.assert_array_equal(variable, half[variable.path].astype(np.float32))


def test_a_normalization_layer_computes_with_what_was_loaded(tmp_path, rng):
    def normalizing():
        image = keras.Input((2, 2, 3))
        return keras.Model(image, keras.layers.Normalization(name="standardize")(image))

    written, model = normalizing(), normalizing()
    written.get_layer("standardize").adapt(rng.normal(3, 2, (50, 2, 2, 3)))
    images = rng.normal(size=(4, 2, 2, 3)).astype(np.float32)
    assert not np.allclose(model(images), written(images))
    written.save_weights(tmp_path / "new.weights.h5")
    load_weights(model, tmp_path / "new.weights.h5")
    np.testing.assert_array_equal(model(images), written(images))


@pytest.mark.parametrize("name", WRITERS)
def test_a_truncated_file_is_refused_in_one_line(name, tmp_path):
    path = write(small_model(), tmp_path, name)
    content = path.read_bytes()
    model = small_model()
    for kept in (0, 1, 100, len(content) // 2, len(content) - 8):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError, match=f"{name} cannot be read") as raised:
            load_weights(model, path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_text_is_refused(name, tmp_path):
    (tmp_path / name).write_text("no weights " * 100)
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(small_model(), tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"first/kernel": np.array([{}])}, "cannot be read"),  # would need unpickling
        ({"first/kernel": np.array(["text"])}, "first/kernel holds something else than finite numbers"),
        ({"first/kernel": np.array([1.0, np.nan])}, "first/kernel holds something else than finite numbers"),
        ({"kernel": np.zeros(2)}, "'kernel' is not of the form layer/variable"),
        ({"a/first/kernel": np.zeros(2), "b/first/kernel": np.zeros(2)}, "two arrays first/kernel"),
    ],
)
def test_arrays_that_are_no_weights_are_refused(content, message, tmp_path):
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(InputError, match=message):
        load_weights(small_model(), tmp_path / "bad.npz")


def test_hdf5_without_layer_names_is_refused(tmp_path):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(InputError, match="names no layers"):
        load_weights(small_model(), tmp_path / "plain.h5")


def test_code_in_a_keras_file_is_not_run(tmp_path):
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(tmp_path / "lambda.keras")
    assert zipfile.is_zipfile(tmp_path / "lambda.keras")
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(small_model(), tmp_path / "lambda.keras")


def test_missing_and_unknown_files_are_named(tmp_path):
    with pytest.raises(InputError, match="absent.npz cannot be read: there is no such file"):
        load_weights(small_model(), tmp_path / "absent.npz")
    with pytest.raises(InputError, match="weights.bin are of an unknown kind"):
        load_weights(small_model(), tmp_path / "weights.bin")


def test_a_mobilenet_fills_wholly_from_an_npz_of_the_application(tmp_path):
    choices = {"include_top": False, "weights": None, "alpha": 0.35, "input_shape": (32, 32, 3), "pooling": "avg"}
    theirs = keras.applications.MobileNetV2(**choices)
    as_npz(theirs, tmp_path / "mobilenet.npz")
    model = joint_model("mobilenetv2", target_classes=3, source_classes=5, alpha=0.35, image_size=32)
    report = load_weights(model, tmp_path / "mobilenet.npz")
    assert set(report.missing) == {"target", "source"} and report.unused == ()
    expected = {variable.path: variable.numpy() for variable in theirs.weights}
    assert len(expected) == 260
    for variable in model.weights:
        if variable.path in expected:
            np.testing.assert_array_equal(variable, expected.pop(variable.path))
    assert not expected
