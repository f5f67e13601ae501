"""The SavedModel: decoding, resizing, classifying and naming as one TensorFlow graph, without Keras and `sjft_tf`."""

import pathlib
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from sjft_tf.images import center_view, try_views

BYTES_SIGNATURE = "serving_default"
IMAGES_SIGNATURE = "images"
MODEL_NAME = "default"  # the server's own default; it does not look at the name of a warm-up request


def write_saved_model(model: keras.Model, version: pathlib.Path, class_names: Sequence[str]) -> None:
    """Write `model` as a version folder that TensorFlow Serving loads, with its warm-up requests.

    Signature `serving_default` takes `image_bytes` (`[N]` string: JPEG, PNG, GIF, BMP or WebP of any sizes), signature
    `images` takes `images` (as `model`). Both answer `class_names` `[N, C]`, `probabilities` `[N, C]`, `top_class` `[N]` and
    `valid` `[N]`. What is no image does not fail the request: its row alone has `valid` false, `top_class` "" and all
    probabilities 0.

    `model` and `class_names` are as in `export_probabilities`; the folder `version` must not exist.
    """
    side = model.input_shape[1]

    def classify_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        images, valid = try_views(image_bytes, lambda image: center_view(image, side))
        return _answers(model(images, training=False), valid, class_names)

    def classify_images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        valid = tf.reduce_all(tf.math.is_finite(images), axis=[1, 2, 3])
        return _answers(model(images, training=False), valid, class_names)

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(BYTES_SIGNATURE, classify_bytes, [tf.TensorSpec([None], tf.string, "image_bytes")])
    images_spec = tf.TensorSpec([None, side, side, 3], tf.float32, "images")
    archive.add_endpoint(IMAGES_SIGNATURE, classify_images, [images_spec])
    archive.write_out(str(version), verbose=False)

    jpeg = tf.io.encode_jpeg(tf.fill([side, side, 3], tf.constant(128, tf.uint8))).numpy()
    image_bytes = tf.make_tensor_proto([jpeg]).SerializeToString()
    images = tf.make_tensor_proto(128.0, tf.float32, [1, side, side, 3]).SerializeToString()
    write_warmup_requests(
        version, {BYTES_SIGNATURE: {"image_bytes": image_bytes}, IMAGES_SIGNATURE: {"images": images}}
    )


def _answers(probabilities: tf.Tensor, valid: tf.Tensor, class_names: Sequence[str]) -> dict[str, tf.Tensor]:
    """The outputs of both signatures; a row that is not valid gets zeros, because JSON has no NaN."""
    names = tf.constant(list(class_names))
    return {
        "class_names": tf.broadcast_to(names, tf.shape(probabilities)),
        "probabilities": tf.where(valid[:, tf.newaxis], probabilities, 0.0),
        "top_class": tf.where(valid, tf.gather(names, tf.argmax(probabilities, axis=-1)), ""),
        "valid": valid,
    }


def write_warmup_requests(version: pathlib.Path, requests: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write the requests that TensorFlow Serving sends itself before it reports a version as ready, one a signature.

    The records are `tensorflow.serving.PredictionLog` messages. Their Python package pins another TensorFlow, so they are
    put together here: every field on the way is length-delimited, and a message is the fields it holds, end to end.
    `requests` holds, by signature name, its inputs by name, each a serialized `TensorProto`.
    """
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            model_spec = _field(1, MODEL_NAME.encode()) + _field(3, signature.encode())
            entries = [_field(1, name.encode()) + _field(2, tensor) for name, tensor in inputs.items()]
            predict_request = _field(1, model_spec) + b"".join(_field(2, entry) for entry in entries)
            predict_log = _field(1, predict_request)
            writer.write(_field(6, predict_log))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field: the number (below 16) and wire type 2, the length as a varint, the content."""
    length, varint = len(content), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + content
