"""Whole files of each kind, written here instruction by instruction where no peer of the format's writer is at hand."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import KERNEL_SHAPES, AlexNetWeights, read_alexnet_weights, save_alexnet_weights

NPY_HEADER = b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(69) + b"\n"
NUMBERS = dict(zip(KERNEL_SHAPES["caffe"], (0, 3, 6, 8, 10), strict=True))


def drawn(layout, layers=5, seed=0):
    rng = np.random.default_rng(seed)
    shapes = dict(list(KERNEL_SHAPES[layout].items())[:layers])
    kernels = {layer: rng.normal(size=shape).astype(np.float32) for layer, shape in shapes.items()}
    return AlexNetWeights(layout, kernels, {layer: kernel[0, 0, 0].copy() for layer, kernel in kernels.items()})


@pytest.fixture(scope="module")
def caffe():
    return drawn("caffe")


@pytest.fixture(scope="module")
def torchvision():
    return drawn("torchvision")


def assert_same(read, written):
    assert read.layout == written.layout
    for ours, theirs in ((read.kernels, written.kernels), (read.biases, written.biases)):
        assert list(ours) == list(theirs)
        for layer, array in theirs.items():
            np.testing.assert_array_equal(ours[layer], array, strict=True)


def output_first(kernel):
    """As Caffe and PyTorch have it: for each output a filter `[C_in, H, W]`, one by one."""
    return np.stack([np.stack([kernel[:, :, i, o] for i in range(kernel.shape[2])]) for o in range(kernel.shape[3])])


def varint(value):
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def caffemodel(weights, names=None):
    """V1, as the published file is: sizes in four numbers, values packed; biases are `1 x 1 x 1 x C_out`."""
    sizes = b"\x08\x01\x10\x01\x18\x01\x20\x02"  # 1 x 1 x 1 x 2
    file = field(1, b"AlexNet") + field(2, field(4, b"fc6") + field(6, field(5, bytes(8)) + sizes))
    for layer, kernel in weights.kernels.items():
        blobs = b""
        for array in (output_first(kernel), weights.biases[layer].reshape(1, 1, 1, -1)):
            sizes = b"".join(varint(n << 3) + varint(size) for n, size in enumerate(array.shape, 1))
            blobs += field(6, sizes + field(5, array.tobytes()))
        file += field(2, field(4, b"relu")) + field(2, field(4, (names or {}).get(layer, layer).encode()) + blobs)
    return file


def old_string(content):
    return (
        b"T" + struct.pack("<i", len(content)) + content if len(content) > 255 else b"U%c%s" % (len(content), content)
    )


def old_array(shape, dtype, content):
    sizes = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in shape) + b"t"
    start = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
    code, order = dtype
    kind = (
        b"cnumpy\ndtype\n" + old_string(code) + b"K\x00K\x01\x87R(K\x03" + old_string(order) + b"NNNJ\xff\xff\xff\xff"
    )
    return start + b"(K\x01" + sizes + kind + b"J\xff\xff\xff\xffK\x00tb\x89" + content + b"tb"


def old_npy(weights, extra=b""):
    """`numpy.save` of a dictionary under Python 2."""
    content = b"}("
    for layer, kernel in weights.kernels.items():
        pair = (kernel, weights.biases[layer])
        arrays = [old_array(array.shape, (b"f4", b"<"), old_string(array.tobytes())) for array in pair]
        content += old_string(layer.encode()) + b"](" + b"".join(arrays) + b"e"
    return NPY_HEADER + b"\x80\x02" + old_array((), (b"O8", b"|"), b"](" + content + extra + b"ue") + b"."


def new_npy(weights):
    file = io.BytesIO()
    np.save(file, {layer.encode(): [k, weights.biases[layer]] for layer, k in weights.kernels.items()})
    return file.getvalue()


def text(value):
    return b"X" + struct.pack("<i", len(value)) + value.encode()


def pth(weights, extra=b""):
    """`torch.save` of a state dictionary; `extra` are instructions that leave a name and a value."""
    pickled, contents = b"\x80\x02ccollections\nOrderedDict\n)R(", {}
    for layer, kernel in weights.kernels.items():
        for part, array in (("weight", output_first(kernel)), ("bias", weights.biases[layer])):
            key = str(len(contents))
            contents[f"data/{key}"] = array.tobytes()
            sizes, strides = (
                b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"
                for numbers in (array.shape, [step // 4 for step in array.strides])
            )
            storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
            storage += b"J" + struct.pack("<i", array.size) + b"tQ"
            pickled += text(f"features.{NUMBERS[layer]}.{part}") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
            pickled += b"K\x00" + sizes + strides + b"\x89ccollections\nOrderedDict\n)RtR"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {"data.pkl": pickled + extra + b"u.", **contents, "version": b"3\n"}.items():
            archive.writestr(f"alexnet/{name}", content)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("writer", [caffemodel, old_npy, new_npy])
def test_caffes_weights_come_from_caffes_file_and_from_the_dictionary(tmp_path, caffe, writer):
    path = write(tmp_path, "bvlc_alexnet.caffemodel" if writer is caffemodel else "bvlc_alexnet.npy", writer(caffe))
    assert_same(read_alexnet_weights(path), caffe)


@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_torchvisions_weights_come_from_its_state_dictionary(tmp_path, torchvision, suffix):
    assert_same(read_alexnet_weights(write(tmp_path, f"alexnet.{suffix}", pth(torchvision))), torchvision)


@pytest.mark.parametrize("layout", KERNEL_SHAPES)
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_our_own_file_gives_back_what_was_saved(tmp_path, layout, layers):
    weights = drawn(layout, layers)
    save_alexnet_weights(tmp_path / "a.npz", weights)
    assert_same(read_alexnet_weights(str(tmp_path / "a.npz")), weights)
    save_alexnet_weights(tmp_path / "b.npz", weights)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_half_precision_is_a_smaller_file_of_rounded_values(tmp_path):
    weights = drawn("caffe", 2)
    save_alexnet_weights(tmp_path / "half.npz", weights, np.float16)
    read = read_alexnet_weights(tmp_path / "half.npz")
    assert (tmp_path / "half.npz").stat().st_size < 700_000
    for layer, kernel in weights.kernels.items():
        np.testing.assert_array_equal(read.kernels[layer], kernel.astype(np.float16).astype(np.float32), strict=True)


def test_what_cannot_be_read_back_is_not_written(tmp_path):
    weights = drawn("caffe", 1)
    weights.biases["conv1"][0] = 1e5
    for name, dtype, fault in [
        ("a.npz", np.float16, "too large for float16"),
        ("a.npy", "f4", "npz"),
        ("a.npz", "i4", "float"),
    ]:
        with pytest.raises(InputError, match=fault):
            save_alexnet_weights(tmp_path / name, weights, dtype)
    assert not list(tmp_path.iterdir())


def changed(**changes):
    """The arrays of our own file, some replaced or, for None, left out."""
    weights = drawn("caffe", 2)
    arrays = {f"{layer}/kernel": kernel for layer, kernel in weights.kernels.items()}
    arrays |= {f"{layer}/bias": bias for layer, bias in weights.biases.items()}
    arrays |= {"layout": np.array("caffe")} | {name.replace("__", "/"): value for name, value in changes.items()}
    return npz(**{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (lambda: b"", "zip archive is damaged"),
        (lambda: b"\x80\x02N.", "zip archive is damaged"),
        (lambda: npz(**{str(i): np.ones(1) for i in range(1001)}), "more than 1000 entries"),
        (lambda: npz(), "not those that save_alexnet_weights writes"),
        (lambda: npz(layout=np.array("caffe")), "kernels for nothing"),
        (lambda: changed(layout__2=np.ones(1)), "not those that"),
        (lambda: changed(layout=np.array("vgg")), "layout is 'vgg'; expected one of caffe, torchvision"),
        (
            lambda: changed(layout=np.array("torchvision")),
            r"conv1/kernel has shape \(11, 11, 3, 96\); .* has \(11, 11, 3, 64\)",
        ),
        (lambda: changed(conv1__kernel=None), "kernels for conv2 and biases for conv1, conv2"),
        (lambda: changed(conv1__kernel=None, conv1__bias=None), "none left out"),
        (lambda: changed(conv2__bias=None), "kernels for conv1, conv2 and biases for conv1"),
        (lambda: changed(conv1__bias=np.zeros((1, 96), "f4")), r"conv1/bias has shape \(1, 96\)"),
        (lambda: changed(conv1__bias=np.full(96, np.nan, "f4")), "conv1/bias holds something else than finite"),
        (lambda: changed(conv1__bias=np.full(96, 1e300)), "conv1/bias holds something else than finite"),
        (lambda: changed(conv1__bias=np.zeros(96, "i4")), "conv1/bias is int32; expected floating"),
        (lambda: changed(conv1__bias=np.zeros(96, object)), "damaged"),
        (lambda: changed(conv1__bias=np.zeros(2**20)), "larger than AlexNet's"),
    ],
)
def test_a_damaged_or_foreign_npz_is_an_input_error(tmp_path, content, fault):
    with pytest.raises(InputError, match=f"^weights .*a.npz cannot be read: .*{fault}"):
        read_alexnet_weights(write(tmp_path, "a.npz", content()))


def test_an_archive_that_unpacks_to_much_is_not_unpacked(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**22,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("layout.npy", header.getvalue() + bytes(2**24))
    assert (tmp_path / "a.npz").stat().st_size < 2**15
    with pytest.raises(InputError, match="larger than AlexNet's"):
        read_alexnet_weights(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(2**60,), (2**40, 2**40), (10**12,)])
def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("layout.npy", header.getvalue())
    with pytest.raises(InputError, match="damaged"):
        read_alexnet_weights(tmp_path / "a.npz")


class Marker:
    def __init__(self, path):
        self.command = f"touch '{path}'"

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_program_in_any_file_is_named_and_not_run(tmp_path):
    marker = tmp_path / "marker"
    system = f"c{os.name}\nsystem\n(" + f"Vtouch '{marker}'\ntR"
    small, large = drawn("caffe", 1), drawn("torchvision", 1)
    programs = {
        "a.npy": old_npy(small, old_string(b"conv2") + system.encode()),
        "b.npy": NPY_HEADER + b"\x80\x02" + system.encode() + b".",
        "a.pth": pth(large, text("features.3.weight") + system.encode()),
        "b.pth": b"\x80\x02" + system.encode() + b".",
        "b.pt": pth(large, text("x") + b"cbuiltins\neval\n" + text(f"open('{marker}', 'w')") + b"\x85R"),
    }
    for name, content in programs.items():
        with pytest.raises(InputError, match=r"asks for '(posix system|nt system|builtins eval)'.*nothing was run"):
            read_alexnet_weights(write(tmp_path, name, content))
    with pytest.raises(InputError):
        read_alexnet_weights(write(tmp_path, "a.npz", npz(layout=np.array("caffe"), conv1=np.array([Marker(marker)]))))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        (
            "a.caffemodel",
            lambda: caffemodel(drawn("caffe", 2)),
            "lacks conv3, conv4, conv5; expected .* of bvlc_alexnet",
        ),
        ("a.caffemodel", lambda: caffemodel(drawn("torchvision")), r"conv1/kernel has shape \(11, 11, 3, 64\)"),
        ("a.caffemodel", lambda: caffemodel(drawn("caffe"), {"conv4": "conv4_1"}), "lacks conv4"),
        ("a.caffemodel", lambda: field(100, field(1, b"conv1")), "no layers with weights"),
        ("a.npy", lambda: old_npy(drawn("caffe", 2)), "lacks conv3, conv4, conv5"),
        ("a.npy", lambda: new_npy(drawn("torchvision")), r"conv1/kernel has shape \(11, 11, 3, 64\)"),
        (
            "a.pth",
            lambda: pth(drawn("torchvision", 3)),
            "lacks conv4, conv5; expected .* of torchvision.models.alexnet",
        ),
        ("a.pth", lambda: pth(drawn("caffe")), r"conv1/kernel has shape \(11, 11, 3, 96\)"),
        ("a.h5", lambda: b"", "unknown kind; take a .caffemodel, .npy, .pth, .pt or .npz file"),
    ],
)
def test_another_network_is_an_input_error_of_one_line(tmp_path, name, content, fault):
    with pytest.raises(InputError, match=f"^weights .*{name} .*{fault}") as caught:
        read_alexnet_weights(write(tmp_path, name, content()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["caffemodel", "npy", "pth", "pt", "npz"])
def test_a_file_that_is_missing_empty_a_folder_or_too_large_is_an_input_error(tmp_path, suffix):
    (tmp_path / f"folder.{suffix}").mkdir()
    (tmp_path / f"empty.{suffix}").touch()
    with open(tmp_path / f"large.{suffix}", "wb") as file:
        file.truncate(2**29 + 1)  # sparse
    for name in ("missing", "folder", "empty", "large"):
        with pytest.raises(InputError, match=f"{name}.{suffix} cannot be read: "):
            read_alexnet_weights(tmp_path / f"{name}.{suffix}")


@pytest.mark.parametrize(
    ("name", "writer", "layout"),
    [("a.caffemodel", caffemodel, "caffe"), ("a.npy", old_npy, "caffe"), ("a.pth", pth, "torchvision")],
)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_one_wrong_value_is_found_in_every_format(tmp_path, name, writer, layout, value):
    weights = drawn(layout)
    weights.kernels["conv5"][1, 2, 3, 4] = value  # after the check of the constructor
    with pytest.raises(InputError, match="conv5/kernel holds something else than finite numbers"):
        read_alexnet_weights(write(tmp_path, name, writer(weights)))


def ours(weights, folder):
    save_alexnet_weights(folder / "saved.npz", weights)
    return (folder / "saved.npz").read_bytes()


@pytest.mark.parametrize("name", ["a.caffemodel", "a.npy", "a.pth", "a.npz"])
def test_a_cut_or_changed_file_never_gives_wrong_arrays_or_another_error(tmp_path, rng, caffe, torchvision, name):
    if name == "a.npz":
        written, data = torchvision, ours(torchvision, tmp_path)
    else:
        written, writer = {"a.caffemodel": (caffe, caffemodel), "a.npy": (caffe, old_npy), "a.pth": (torchvision, pth)}[
            name
        ]
        data = writer(written)
    places = [*range(0, 200, 26), *rng.integers(len(data), size=8), *(len(data) - np.arange(1, 200, 34))]
    for place in places:
        with pytest.raises(InputError):
            read_alexnet_weights(write(tmp_path, name, data[:place]))
        flipped = bytearray(data)
        flipped[place] ^= rng.integers(1, 256)
        try:
            read = read_alexnet_weights(write(tmp_path, name, flipped))
        except InputError as error:
            assert "\n" not in str(error)
        else:
            if name in ("a.pth", "a.npz"):  # a zip archive has checksums
                assert_same(read, written)
            arrays = [*read.kernels.values(), *read.biases.values()]
            assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in arrays)
