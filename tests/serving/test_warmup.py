"""Warm-up records, read by the protobuf library and run through the signatures."""

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from sjft_tf.serving.signatures import write_warmup_requests

# A request to the model "default", signature "serving_default", with image_bytes = make_tensor_proto([b"\xff\xd8"]), as
# tensorflow-serving-api 2.19.1 serializes it.
OFFICIAL = bytes.fromhex(
    "323b0a390a1a0a0764656661756c741a0f73657276696e675f64656661756c74"
    "121b0a0b696d6167655f6279746573120c08071204120208014202ffd8"
)
# The messages of tensorflow_serving/apis on the way to a tensor: (field, number, message or "" for a string, repeated).
MESSAGES = {
    "PredictionLog": [("predict_log", 6, "warmup.PredictLog", False)],
    "PredictLog": [("request", 1, "warmup.PredictRequest", False)],
    "PredictRequest": [("model_spec", 1, "warmup.ModelSpec", False), ("inputs", 2, "warmup.Input", True)],
    "ModelSpec": [("name", 1, "", False), ("signature_name", 3, "", False)],
    "Input": [("key", 1, "", False), ("value", 2, "tensorflow.TensorProto", False)],
}


def prediction_log_class():
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="warmup.proto", package="warmup", syntax="proto3")
    file.dependency.append("tensorflow/core/framework/tensor.proto")
    for message, fields in MESSAGES.items():
        proto = file.message_type.add(name=message)
        for name, number, type_name, repeated in fields:
            proto.field.add(
                name=name,
                number=number,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
                type=field.TYPE_MESSAGE if type_name else field.TYPE_STRING,
                type_name=f".{type_name}" if type_name else None,
            )
    added = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(added.message_types_by_name["PredictionLog"])


def records(version):
    path = str(version / "assets.extra" / "tf_serving_warmup_requests")
    return [record.numpy() for record in tf.data.TFRecordDataset(path)]


def test_a_record_equals_the_official_package_s_bytes(tmp_path):
    tensor = tf.make_tensor_proto([b"\xff\xd8"]).SerializeToString()
    write_warmup_requests(tmp_path, {"serving_default": {"image_bytes": tensor}})
    assert records(tmp_path) == [OFFICIAL]


def test_every_record_of_an_export_runs_through_its_signature(exported):
    version = exported / "saved_model" / "1"
    signatures = tf.saved_model.load(str(version)).signatures
    prediction_log = prediction_log_class()
    requests = [prediction_log.FromString(record).predict_log.request for record in records(version)]
    assert {request.model_spec.signature_name for request in requests} == set(signatures)
    for request in requests:
        inputs = {entry.key: tf.constant(tf.make_ndarray(entry.value)) for entry in request.inputs}
        answers = signatures[request.model_spec.signature_name](**inputs)
        assert answers["valid"].numpy().tolist() == [True]
