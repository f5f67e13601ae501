"""Requests that TensorFlow Serving sends itself before it reports a version as ready.

The records are `tensorflow.serving.PredictionLog` messages. Their Python package pins another TensorFlow, so they are
put together here: every field on the way is length-delimited, and a message is the fields it holds, end to end.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf

MODEL_NAME = "default"  # the server's own default; it does not look at the name of a warm-up request


def write_warmup_requests(version: pathlib.Path, requests: Mapping[str, Mapping[str, bytes]]) -> None:
    """Put one request a signature where TensorFlow Serving looks for them in a version folder of a SavedModel.

    `requests` holds, by signature name, its inputs by name, each a serialized `TensorProto`.
    """
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(_prediction_log(signature, inputs))


def _prediction_log(signature: str, inputs: Mapping[str, bytes]) -> bytes:
    """A serialized `PredictionLog` that holds a `PredictRequest`."""
    model_spec = _field(1, MODEL_NAME.encode()) + _field(3, signature.encode())
    entries = [_field(1, name.encode()) + _field(2, tensor) for name, tensor in inputs.items()]
    predict_request = _field(1, model_spec) + b"".join(_field(2, entry) for entry in entries)
    predict_log = _field(1, predict_request)
    return _field(6, predict_log)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field: the number (below 16) and wire type 2, the length as a varint, the content."""
    length, varint = len(content), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + content
