"""Files are written here as PyTorch lays them out, with Python's pickler under PyTorch's names."""

import collections
import io
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.weights import torch_file
from sjft_tf.models.weights.torch_file import read_state_dict

KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "bfloat16": "BFloat16", "i8": "Long"}


class Name(str):
    """A global of a module that is not here; calling it is only written down."""

    def __call__(self):
        raise AssertionError


class Call:
    def __init__(self, name, *arguments, state=None):
        self.reduced = (Name(name), arguments) if state is None else (Name(name), arguments, state)

    def __reduce__(self):
        return self.reduced


class Storage:
    """A flat array, written behind or beside the pickle."""

    def __init__(self, key, array, *views, elements=None):
        self.array, self.key = array, key
        kind = next(kind for name, kind in KINDS.items() if array.dtype == np.dtype(name))
        elements = array.size if elements is None else elements
        self.id = ("storage", Name(f"torch {kind}Storage"), key, "cpu", elements, *views)


class Pickler(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None

    def memoize(self, value):
        if not isinstance(value, tuple):  # PyTorch's are new ones each time
            super().memoize(value)

    def save_name(self, name):
        self.write(b"c" + name.replace(" ", "\n").encode() + b"\n")
        self.memoize(name)

    dispatch[Name] = save_name


def pickled(value):
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


def tensor(storage, shape, offset=0, strides=None, name="_rebuild_tensor_v2"):
    strides = tuple(np.cumprod((1, *shape[:0:-1]))[::-1].tolist()) if strides is None else strides
    rest = () if name == "_rebuild_tensor" else (False, collections.OrderedDict())
    return Call(f"torch._utils {name}", storage, offset, shape, strides, *rest)


def state_dict(**tensors):
    """Also with the attribute that PyTorch gives its state dictionaries."""
    items = [[name, value] for name, value in tensors.items()]
    metadata = {"_metadata": collections.OrderedDict({"": {"version": 1}})}
    return Call("collections OrderedDict", items, state=metadata)


def zipped(value, storages, order="little", *, root="archive", compression=zipfile.ZIP_STORED, leave_out=()):
    file = io.BytesIO()
    entries = {"data.pkl": pickled(value), "byteorder": order.encode(), "version": b"3\n"}
    turn = (lambda array: array.byteswap()) if order == "big" else (lambda array: array)
    entries |= {f"data/{storage.key}": turn(storage.array).tobytes() for storage in storages}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            if name not in leave_out:
                archive.writestr(f"{root}/{name}", content)
    return file.getvalue()


def legacy(value, storages, little=True, numbers=(0x1950A86A20F9469CFC6C, 1001)):
    system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = [*numbers, system, value, [storage.key for storage in storages]]
    contents = [storage.array.size.to_bytes(8, "little") + storage.array.tobytes() for storage in storages]
    return b"".join([*map(pickled, head), *contents])


def read(data):
    return {name: stored.read() for name, stored in read_state_dict(data).items()}


def two_tensors(rng, *views):
    weight, bias = rng.normal(size=(4, 3, 2, 2)).astype("f4"), rng.normal(size=4).astype("f4")
    storages = [Storage("0", weight.ravel(), *views), Storage("1", bias, *views)]
    value = state_dict(weight=tensor(storages[0], weight.shape), bias=tensor(storages[1], (4,)))
    return {"weight": weight, "bias": bias}, value, storages


def assert_same(read_arrays, arrays):
    assert list(read_arrays) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read_arrays[name], array)
        assert read_arrays[name].dtype == np.float32


def test_both_layouts_give_the_tensors(rng):
    arrays, value, storages = two_tensors(rng)
    assert_same(read(zipped(value, storages)), arrays)
    assert_same(read(zipped(value, storages, root="alexnet-owt-7be5be79", leave_out=["byteorder"])), arrays)
    assert_same(read(zipped(value, storages, "big")), arrays)
    arrays, value, storages = two_tensors(rng, None)
    assert_same(read(legacy(value, storages)), arrays)


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize("dtype", KINDS)
def test_every_type_of_number_becomes_float32(rng, write, dtype):
    values = rng.normal(scale=100, size=(3, 5)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    storage = Storage("0", values.ravel())
    assert_same(read(write(state_dict(a=tensor(storage, (3, 5))), [storage])), {"a": values.astype(np.float32)})


@pytest.mark.parametrize("dtype", ["f4", ml_dtypes.bfloat16])
def test_offsets_and_strides_are_those_of_views_of_one_storage(rng, dtype):
    values = rng.normal(size=(4, 6, 5)).astype(dtype)
    storage = Storage("0", values.ravel())
    views = {
        "turned": (tensor(storage, (5, 4, 6), 0, (1, 30, 5)), values.transpose(2, 0, 1)),
        "part": (tensor(storage, (2, 3), 31, (30, 10)), values[1:3, ::2, 1]),
        "repeated": (tensor(storage, (7, 5), 10, (0, 1)), np.broadcast_to(values[0, 2], (7, 5))),
        "number": (tensor(storage, (), 119, ()), values[3, 5, 4]),
        "none": (tensor(storage, (0, 5), 0, (5, 1)), np.zeros((0, 5))),
    }
    value = state_dict(**{name: view for name, (view, _) in views.items()})
    assert_same(read(zipped(value, [storage])), {name: np.float32(array) for name, (_, array) in views.items()})


def test_parameters_in_all_their_forms_are_their_tensors(rng):
    values = rng.normal(size=3).astype("f4")
    storage = Storage("0", values)
    data = tensor(storage, (3,), name="_rebuild_tensor")
    hooks = collections.OrderedDict()
    value = {
        "now": Call("torch._utils _rebuild_parameter", data, True, hooks),
        "early": Call("torch.nn.parameter Parameter", data, state=(True, False, hooks)),
        "earliest": Call("torch.nn.parameter Parameter", state=(data, None, hooks, True, False)),
        "epoch": 7,
    }
    assert_same(read(legacy(value, [storage])), dict.fromkeys(["now", "early", "earliest"], values))


def test_a_repeated_tensor_costs_nothing_before_its_shape_is_seen():
    storage = Storage("0", np.ones(1, "f4"))
    (stored,) = read_state_dict(zipped(state_dict(a=tensor(storage, (2**40, 2**40), 0, (0, 0))), [storage])).values()
    assert stored.shape == (2**40, 2**40)
    with pytest.raises(InputError, match="damaged"):
        stored.read()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (10,), (1,)),
        (0, (11,), (1,)),
        (0, (2, 5), (6, 1)),
        (10, (), ()),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, (2**62, 4), (2**62, 1)),
        (2**70, (1,), (1,)),
        (0, (-2, -5), (5, 1)),
        (0, [10], [1]),
        (0, (True,), (1,)),
        (0.0, (1,), (1,)),
        (0, (1,) * 9, (1,) * 9),
        (None, None, None),
    ],
)
def test_a_tensor_beyond_its_storage_is_an_input_error(offset, shape, strides):
    storage = Storage("0", np.ones(10, "f4"))
    value = {"a": Call("torch._utils _rebuild_tensor_v2", storage, offset, shape, strides, False, None)}
    with pytest.raises(InputError, match="beyond its storage|unknown form"):
        read(zipped(value, [storage]))


def test_a_tensor_is_not_written_over():
    storage = Storage("0", np.ones(10, "f4"))
    for state in ({"shape": (2,)}, (None, {"shape": (2,)})):
        spoiled = Call("torch._utils _rebuild_tensor_v2", storage, 0, (1,), (1,), False, None, state=state)
        with pytest.raises(InputError, match="a state for an array"):
            read(zipped({"a": spoiled}, [storage]))


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize("elements", [0, 9, 11, 2**40, -1, 2**70, "10", None])
def test_a_storage_of_another_length_is_an_input_error(write, elements):
    storage = Storage("0", np.ones(10, "f4"))
    storage.id = (*storage.id[:4], elements)
    with pytest.raises(InputError):
        read(write(state_dict(a=tensor(storage, (1,))), [storage]))


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        Call("torchvision.models.alexnet AlexNet"),
        Call("torch.jit._pickle build_tensor_from_id", 0),
        Call("torch.storage _load_from_bytes", b"x"),
        Call("torch._utils _rebuild_tensor_v2", 1, 0, (1,), (1,), False, None),
        Call("torch FloatStorage", 10),
        Call("collections OrderedDict", 5),
        Call("collections OrderedDict", [[["deep"], 1]], [1]),
        Call("posix system", "true"),
        Call("builtins eval", "1"),
    ],
)
@pytest.mark.parametrize("write", [zipped, legacy])
def test_what_is_no_dictionary_of_tensors_is_an_input_error(write, value):
    with pytest.raises(InputError, match="no dictionary of tensors|nothing was run|damaged"):
        read(write(value, []))


@pytest.mark.parametrize("write", [zipped, legacy])
def test_a_program_in_the_pickle_is_named_and_not_run(tmp_path, write, monkeypatch):
    marker = tmp_path / "marker"
    program = Call(f"{os.name} system", f"touch '{marker}'")
    for value in (program, {"features.0.weight": program}, state_dict(a=program)):
        with pytest.raises(InputError, match=f"asks for '{os.name} system', and only arrays are read; nothing was run"):
            read(write(value, []))
    assert not marker.exists()
    pickle.loads(pickled(program))
    assert marker.exists()


def test_calls_cannot_multiply_a_list():
    pairs = [["a", 1], ["b", 2], [("no", "text"), 3]]
    assert torch_file._ordered(pairs) == {"a": 1, "b": 2}
    assert torch_file._ordered(pairs) == {}


def archive(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def test_other_archives_are_input_errors(rng):
    _, value, storages = two_tensors(rng)
    inflated = bytearray(zipped(value, storages))
    place = inflated.rindex(b"PK\x01\x02", 0, inflated.rindex(b"archive/data/1"))
    inflated[place + 20 : place + 28] = b"\xff\xff\xff\x7f" * 2  # both sizes of the last entry
    for data, fault in [
        (zipped(value, storages, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (bytes(inflated), "longer than the file"),
        (zipped(value, storages, leave_out=["data.pkl"]), "no single data.pkl"),
        (zipped(value, storages, leave_out=["data/1"]), "damaged"),
        (zipped(value, storages, "middle"), "byte order"),
        (archive(a__data="", b="c"), "no single data.pkl"),
        (archive(**{"a__data.pkl": "N.", "b__data.pkl": "N."}), "no single data.pkl"),
        (zipped(value, storages).replace(b"data/1", b"data/0"), "damaged|another length"),
    ]:
        with pytest.raises(InputError, match=fault):
            read(data)


def test_other_rows_of_pickles_are_input_errors(rng):
    _, value, storages = two_tensors(rng)
    for data, fault in [
        (legacy(value, storages, little=False), "little-endian"),
        (legacy(value, storages, numbers=(1, 1001)), "not written by torch.save"),
        (legacy(value, storages, numbers=(0x1950A86A20F9469CFC6C, 1000)), "not written by torch.save"),
        (legacy(value, storages[:1]), "damaged"),
        (legacy(value, [*storages, Storage("2", np.ones(1, "f4"))]), "damaged"),
        (legacy(value, storages)[:-1], "damaged"),
        (legacy(state_dict(a=tensor(Storage("0", np.ones(4, "f4"), ("v", 1, 2)), (1,))), storages[:1]), "damaged"),
    ]:
        with pytest.raises(InputError, match=fault):
            read(data)


@pytest.mark.parametrize("write", [zipped, legacy])
def test_any_cut_and_any_flipped_byte_gives_an_input_error_or_arrays(rng, write):
    arrays, value, storages = two_tensors(rng)
    data, refused = write(value, storages), 0
    assert_same(read(data), arrays)
    broken = [data[:end] for end in range(len(data))]
    for _ in range(1500):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= rng.integers(1, 256)
        broken.append(bytes(flipped))
    for damaged in broken:
        try:
            found = read(damaged)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert len(damaged) == len(data)
            assert all(array.dtype == np.float32 for array in found.values())
            for name in found.keys() & arrays.keys():
                if write is zipped and found[name].shape == arrays[name].shape:  # a zip archive has checksums
                    np.testing.assert_array_equal(found[name], arrays[name])
    assert refused > len(data)
