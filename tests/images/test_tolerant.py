import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sjft_tf.images import center_view, decode, try_views

SIDE = 14


def view(image):
    return center_view(image, SIDE)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def views_in_graph(encoded):
    return try_views(encoded, view)


def test_broken_files_leave_the_others_of_their_batch_as_they_are(broken, picture, encode):
    good = [encode(picture.rotate(turn), kind) for turn, kind in ((0, "JPEG"), (90, "PNG"), (180, "GIF"))]
    batch = good[:1] + list(broken.values()) + good[1:]
    views, is_good = views_in_graph(batch)
    assert is_good.numpy().tolist() == [file in good for file in batch]
    np.testing.assert_array_equal(tf.boolean_mask(views, is_good), np.stack([view(decode(file)) for file in good]))
    assert not np.any(views.numpy()[~is_good.numpy()])


@pytest.mark.parametrize("files", [[], [b""], [b"", b"x"]])
def test_a_batch_may_be_empty_or_hold_no_image(files):
    views, is_good = views_in_graph(tf.constant(files, tf.string))
    assert views.shape == (len(files), SIDE, SIDE, 3)
    assert not is_good.numpy().any()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["JPEG", "PNG", "BMP", "GIF"]),
    start=st.integers(0, 3000),
    length=st.integers(0, 40),
    noise=st.binary(max_size=40),
)
def test_no_damage_raises(picture, encode, kind, start, length, noise):
    encoded = encode(picture, kind)
    start %= len(encoded)
    views, is_good = views_in_graph([encoded[:start] + noise + encoded[start + length :], encoded])
    assert np.isfinite(views).all()
    assert is_good[1]


def test_a_saved_signature_answers_under_both_runtimes(broken, picture, encode, tmp_path):
    """A server runs the graph in a session, Python as a function."""
    module = tf.Module()
    module.serve = tf.function(
        lambda files: dict(zip(("views", "is_good"), try_views(files, view), strict=True)),
        input_signature=[tf.TensorSpec((None,), tf.string, name="files")],
    )
    tf.saved_model.save(module, tmp_path, signatures=module.serve)
    files = [encode(picture, "JPEG"), *broken.values(), encode(picture, "BMP")]
    expected = [True] + [False] * len(broken) + [True]

    answer = tf.saved_model.load(tmp_path).signatures["serving_default"](tf.constant(files))
    assert answer["is_good"].numpy().tolist() == expected
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path)).signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}
        served = session.run(outputs, {signature.inputs["files"].name: files})
    np.testing.assert_array_equal(served["is_good"], expected)
    np.testing.assert_array_equal(served["views"], answer["views"])
