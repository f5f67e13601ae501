"""Files are encoded here byte by byte, as the wire format of protocol buffers has it and `caffe.proto` numbers fields."""

import struct

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.weights.caffemodel import read_caffemodel


def varint(value):
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def octets(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def whole(number, value):
    return varint(number << 3) + varint(value)


def packed(array):
    return octets(5, array.astype("<f4").tobytes())


def unpacked(array):
    return b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in array.ravel())


def doubles(array):
    return octets(8, array.astype("<f8").tobytes())


def old_shape(array):
    return b"".join(whole(i, size) for i, size in enumerate((1,) * (4 - array.ndim) + array.shape, 1))


def new_shape(array):
    return octets(7, octets(1, b"".join(varint(size) for size in array.shape)))


def blob(array, values=packed, shape=new_shape):
    return values(array) + shape(array)


def new_layer(name, *blobs):
    return octets(100, octets(1, name.encode()) + octets(2, b"Convolution") + b"".join(octets(7, b) for b in blobs))


def v1_layer(name, *blobs):
    return octets(2, octets(3, b"top") + octets(4, name.encode()) + whole(5, 4) + b"".join(octets(6, b) for b in blobs))


def values(layers):
    return {name: [stored.read() for stored in arrays] for name, arrays in layers.items()}


@pytest.mark.parametrize("layer", [v1_layer, new_layer])
@pytest.mark.parametrize("shape", [old_shape, new_shape])
@pytest.mark.parametrize("form", [packed, unpacked, doubles])
def test_every_way_of_writing_an_array_gives_its_values(rng, layer, shape, form):
    kernel, bias = rng.normal(size=(4, 3, 2, 5)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    head = octets(1, b"AlexNet") + octets(3, b"data") + whole(4, 10)
    file = head + layer("data") + layer("conv1", blob(kernel, form, shape), blob(bias, form, shape)) + layer("relu1")
    (name,), ((read_kernel, read_bias),) = zip(*values(read_caffemodel(file)).items(), strict=True)
    assert name == "conv1"
    np.testing.assert_array_equal(read_kernel, kernel)
    np.testing.assert_array_equal(read_bias.ravel(), bias)
    assert read_kernel.dtype == read_bias.dtype == np.float32


def test_gradients_beside_the_values_are_skipped(rng):
    array = rng.normal(size=(2, 3))
    with_gradient = octets(6, rng.normal(size=6).astype("<f4").tobytes()) + blob(array)
    np.testing.assert_array_equal(values(read_caffemodel(new_layer("a", with_gradient)))["a"][0], np.float32(array))


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (b"", "no layers with weights"),
        (new_layer("conv1"), "no layers with weights"),
        (new_layer("a", blob(np.ones(3))) + v1_layer("a", blob(np.ones(3))), "two layers of one name"),
        (new_layer("a", packed(np.ones(3)) + new_shape(np.ones(4))), "3 values, another number"),
        (new_layer("a", octets(7, octets(1, varint(2**40) * 2))), "0 values, another number"),
        (new_layer("a", packed(np.ones(1)) + octets(7, octets(1, varint(2**64 - 1) * 2))), "1 values, another number"),
        (b"\x93NUMPY" + bytes(40), "it is damaged"),
        (b"name: 'AlexNet' layer {}", "it is damaged"),
        (new_layer("a", blob(np.ones(3)))[:-1], "it is damaged"),
        (octets(100, b"") * 1000, "no layers with weights"),
        (octets(100, b"") * 100_000, "more than 10000 fields and sizes"),
        (octets(100, octets(7, b"") * 100_000), "more than 10000 fields and sizes"),
        (octets(100, octets(7, b"") * 200) * 200, "more than 10000 fields and sizes"),
        (b"\xff" * 100, "it is damaged"),
        (varint(100 << 3 | 3) * 10_000, "it is damaged"),  # groups within groups
    ],
)
def test_what_is_no_set_of_layers_is_an_input_error(file, fault):
    with pytest.raises(InputError, match=fault):
        read_caffemodel(file)


def test_any_cut_and_any_flipped_byte_gives_an_input_error_or_arrays(rng):
    file = b"".join(
        layer(name, blob(rng.normal(size=(2, 3, 2, 2)), form, shape), blob(rng.normal(size=2), form, shape))
        for layer, name, form, shape in [(v1_layer, "a", unpacked, old_shape), (new_layer, "b", packed, new_shape)]
    )
    whole_file, refused = values(read_caffemodel(file)), 0
    broken = [file[:end] for end in range(len(file))]
    for _ in range(1500):
        flipped = bytearray(file)
        flipped[rng.integers(len(file))] ^= rng.integers(1, 256)
        broken.append(bytes(flipped))
    for data in broken:
        try:
            read = values(read_caffemodel(data))
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert all(array.dtype == np.float32 for arrays in read.values() for array in arrays)
            if len(data) < len(file):  # a cut between the layers
                np.testing.assert_array_equal(read["a"][0], whole_file["a"][0])
                assert list(read) == ["a"]
    assert refused > 500
