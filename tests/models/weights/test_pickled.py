"""The reader against Python's own pickler, and against programs that would harm a reader that calls what it is told."""

import builtins
import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.weights import npy_dictionary, pickled
from sjft_tf.models.weights.pickled import Name

HEADER = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
RECORD = {"maker list": lambda *arguments: ["made", *arguments], "maker name": None}


def load(program, builders=RECORD, storage=None):
    return pickled.load(io.BytesIO(program), builders, storage)


def text(value):
    return b"X" + struct.pack("<i", len(value.encode())) + value.encode()


def npy(value, protocol=None):
    """What NumPy writes; with a protocol, what NumPy would write if it used that one."""
    array = np.empty((), object)
    array[()] = value
    if protocol is not None:
        return HEADER + pickle.dumps(array, protocol)
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def read(data):
    return {name: [s.read() for s in arrays] for name, arrays in npy_dictionary.read_npy_dictionary(data).items()}


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_are_those_of_pythons_own_reader(protocol):
    shared = ["x"]
    values = [None, True, 0, 255, 65535, -1, 2**70, 1.5, "ü" * 300, b"", (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]
    value = {"values": values, "nested": {"a": [], "b": {}, "c": [shared, shared]}, "many": list(range(3000))}
    program = pickle.dumps(value, protocol)
    builders = {"_codecs encode": lambda content, codec: content.encode(codec), "__builtin__ bytes": bytes}
    assert load(program, builders) == pickle.loads(program) == value


def test_pickles_in_a_row_are_read_one_by_one():
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("two", 2) + b"rest")
    assert [pickled.load(stream, {}), pickled.load(stream, {}), stream.read()] == [1, "two", b"rest"]


def test_a_name_stands_for_nothing_but_itself_and_only_builders_are_called():
    found = load(b"cmaker\nname\n.")
    assert isinstance(found, Name) and found.name == "maker name"
    assert load(b"cmaker\nlist\nK\x01K\x02\x86R.") == ["made", 1, 2]
    assert load(b"\x80\x02K\x07Q.", storage=lambda key: f"storage {key}") == "storage 7"


class Command:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def commands(marker):
    """Programs that leave a file when run, by what they name first."""
    make = f"open({str(marker)!r}, 'w').close()"
    return {
        f"{os.name} system": Command(os.system, f"touch '{marker}'"),
        "builtins eval": Command(builtins.eval, make),
        "builtins exec": Command(builtins.exec, make),
        "builtins getattr": Command(getattr, Command(__import__, "os"), "system"),
        f"{np.load.__module__} load": Command(np.load, str(marker)),
        "_pickle loads": Command(pickle.loads, pickle.dumps(Command(os.system, f"touch '{marker}'"))),
        "numpy.testing._private.utils runstring": Command(np.testing._private.utils.runstring, make, {}),
    }


def test_the_programs_below_do_run_in_pythons_own_reader(tmp_path):
    for number, name in enumerate(["posix system", "builtins eval", "builtins exec", "_pickle loads"]):
        marker = tmp_path / str(number)
        pickle.loads(pickle.dumps(commands(marker)[name]))
        assert marker.exists()


@pytest.mark.parametrize("name", commands("m"))
@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: {"conv1": [np.ones(3, "f4"), c]}, lambda c: np.array([c])])
def test_a_program_is_named_and_not_run(tmp_path, name, protocol, wrap):
    marker = tmp_path / "marker"
    with pytest.raises(
        InputError, match=rf"asks for '[\w.]+ {name.split()[1]}', and only arrays are read; nothing was run"
    ):
        read(npy(wrap(commands(marker)[name]), protocol))
    assert not marker.exists()


class Sub(np.ndarray):
    pass


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (b"cnumpy\nndarray.__init__.__globals__\n.", "asks for 'numpy ndarray.__init__.__globals__'"),
        (text("numpy") + text("ndarray.__class__") + b"\x93.", "asks for 'numpy ndarray.__class__'"),
        (text("numpy ndarray") + text("x") + b"\x93.", "asks for 'numpy ndarray x'"),
        (b"K\x01K\x02\x93.", "damaged"),  # a name that is no text
        (b"cnumpy\nndarray\n)R.", "calls 'numpy ndarray', which makes no array"),  # it may only be mentioned
        (b"K\x01)R.", "damaged"),
        (b"cnumpy\ndtype\nK\x01R.", "damaged"),  # arguments that are no tuple
        (b"cnumpy\ndtype\n)R.", "damaged"),  # too few arguments
        (b"cnumpy\ndtype\n]\x85R.", "another type"),
        (b"cnumpy\ndtype\n" + text("V8") + b"\x85R.", "another type"),
        (b"cnumpy\ndtype\n" + text("f4") + b"\x85R}b.", "damaged"),  # a state of another form
        (b"cnumpy\ndtype\n}b.", "damaged"),  # a state for a name
        (b"]}b.", "damaged"),
        (b"cnumpy\ndtype\nN}" + text("__call__") + b"K\x01s\x86b.", "damaged"),  # attributes for a name
        (b"(ios\nsystem\n.", "asks for 'os system'"),  # INST
        (b"(ibuiltins\neval\n.", "asks for 'builtins eval'"),
        (b"(cnumpy\ndtype\no.", "damaged"),  # OBJ
        (b"cnumpy\nndarray\n)\x81.", "damaged"),  # NEWOBJ
        (b"cnumpy\nndarray\n)}\x92.", "damaged"),  # NEWOBJ_EX
        (b"\x82\x01.", "damaged"),  # EXT1
        (b"\x83\x01\x00.", "damaged"),
        (b"\x84\x01\x00\x00\x00.", "damaged"),
        (b"K\x01Q.", "refers to data outside"),
        (b"P1\n.", "refers to data outside"),
        (b"\x97.", "damaged"),  # NEXT_BUFFER
        (b"]2b.", "repeats"),  # DUP
        (b"c_codecs\nencode\n" + text("x") + text("rot13") + b"\x86R.", "else than text in Latin-1"),
        (b"c_codecs\nencode\n" + b"C\x01x" + text("latin1") + b"\x86R.", "else than text in Latin-1"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85C\x01b\x87R.", "no numpy.ndarray"),
    ],
)
def test_what_has_a_way_around_a_list_of_names_elsewhere_has_none_here(program, fault):
    with pytest.raises(InputError, match=fault):
        load(b"\x80\x02" + program, npy_dictionary._BUILDERS)


@pytest.mark.parametrize(
    "value",
    [
        {"conv1": [np.array([1, "a"], object), np.ones(1)]},
        {"conv1": [np.array([[]], object), np.ones(1)]},
        {"conv1": [np.ones(2, "i4"), np.ones(1)]},
        {"conv1": [np.ones(2, "c8"), np.ones(1)]},
        {"conv1": [np.ones(2, [("x", "f4")]), np.ones(1)]},
        {"conv1": [np.ones(2, "M8[s]"), np.ones(1)]},
        {"conv1": [np.ones(2).view(Sub), np.ones(1)]},
        {"conv1": [np.float32(2), np.ones(1)]},
        collections.OrderedDict(conv1=[np.ones(2), np.ones(1)]),
        [np.ones(2), np.ones(1)],
        np.ones(2),
        None,
    ],
)
def test_other_things_than_a_dictionary_of_floating_point_arrays_are_input_errors(value):
    with pytest.raises(InputError):
        read(npy(value))


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"0.",
        b"(.",
        b"\x85.",
        b"(\x85.",
        b"e.",
        b"K\x01K\x01a.",
        b"](a.",
        b"}(K\x01u.",
        b"}]K\x01s.",
        b"h\x05.",
        b"q\x00.",
        b"R.",
        b"b.",
        b"\x93.",
        b"X\xff\xff\xff\x7fabc",
        b"B\xff\xff\xff\xffabc",
        b"T\xff\xff\xff\xffabc",
        b"\x8e" + b"\xff" * 8,
        b"X\x02\x00\x00\x00\xff\xff.",
        b"L" + b"9" * 100_000 + b"L\n.",
        b"\x8a\xff",
        b"c" + b"a" * 100_000,
        b"c\xff\n\xff\n.",
    ],
)
def test_a_damaged_program_is_an_input_error_of_one_short_line(program):
    with pytest.raises(InputError) as caught:
        load(program)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02" + b"]" * 1_000_000,
        b"(" * 1_000_000,
        b"K\x01" + b"\x85" * 1_000_000 + b".",
    ],
)
def test_an_endless_program_is_stopped(program):
    with pytest.raises(InputError, match="more than 10000 instructions"):
        load(program)


def test_a_deep_value_is_read_or_refused_without_recursion():
    deep = b"K\x01" + b"\x85" * 9000
    load(deep + b".")
    load(b"}%bK\x01s.".replace(b"%b", deep))
    for use in (b"cnumpy\ndtype\n%b\x85R.", b"cnumpy\ndtype\n%bR.", b"]%bb.", b"%bQ.", b"]%b)R."):
        with pytest.raises(InputError):
            load(use.replace(b"%b", deep), npy_dictionary._BUILDERS)


@pytest.mark.parametrize("start", [b"", b"K\x01\x85", b"]\x85", b"(t", b")Nb", b")K\x010"])
@pytest.mark.parametrize(
    "double", [b"q\x00h\x00\x86", b"p0\ng0\n\x86", b"\x94h\x00h\x00\x86", b"2\x86", b"q\x00(h\x00h\x00t"]
)
def test_what_doubles_is_refused_before_it_is_hashed(start, double):
    """2 ** 300 leaves, were it written out: Python would walk over them all to use it as a key."""
    with pytest.raises(InputError, match="repeats"):
        load(b"}" + (start or b")") + double * 300 + b"Ns.")


def test_a_memo_far_beyond_the_end_takes_no_room():
    for put in (b"r\xff\xff\xff\xff", b"p4294967295\n"):
        with pytest.raises(InputError, match="beyond reason"):
            load(b"K\x01" + put + b"\x85.")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("pair", [list, tuple, lambda pair: dict(zip(("weights", "biases"), pair, strict=True))])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_dictionaries_that_python_3_wrote_are_read(rng, protocol, pair, dtype):
    weights, biases = rng.normal(size=(3, 2, 4, 5)).astype(dtype), rng.normal(size=5).astype(dtype)
    turned = np.asfortranarray(weights)
    value = {"conv1": pair([weights, biases]), "fc6": pair([turned, biases]), "epoch": 3, "empty": []}
    layers = read(npy(value, protocol))
    assert list(layers) == ["conv1", "fc6"]
    for arrays in layers.values():
        for array, expected in zip(arrays, (weights, biases), strict=True):
            np.testing.assert_array_equal(array, expected.astype(np.float32))
            assert array.dtype == np.float32


def test_what_numpy_itself_saves_is_read(rng):
    weights = rng.normal(size=(2, 3)).astype("f4")
    np.testing.assert_array_equal(read(npy({"conv1": [weights, weights[0]]}))["conv1"][0], weights)


@pytest.mark.parametrize("shape", [(1,), (2, 2), (10**9,), (10**9,) * 8, (1,) * 9, (-1, 3), (3.0,), "ab", 3, None])
def test_a_shape_that_does_not_fit_the_content_is_an_input_error(shape):
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R"
    state = b"(K\x01" + pickle.dumps(shape, 2)[2:-1] + dtype + b"\x89C\x0c" + bytes(12) + b"tb"
    with pytest.raises(InputError, match="length|numbers"):
        load(b"\x80\x02" + array + state + b".", npy_dictionary._BUILDERS)
    fitting = state.replace(pickle.dumps(shape, 2)[2:-1], b"K\x03\x85")
    assert load(b"\x80\x02" + array + fitting + b".", npy_dictionary._BUILDERS).stored.shape == (3,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        HEADER,
        HEADER.replace(b"'|O'", b"'<f4'"),
        HEADER.replace(b"()", b"(1000000000000,)").replace(b" " * 15, b"", 1),
        HEADER.replace(b"'|O'", b"eval"),
        HEADER[:10] + b"{" + b"-" * 100_000 + b"1}\n",
        HEADER[:10] + b"(" * 100_000,
    ],
)
def test_other_headers_are_input_errors(data):
    with pytest.raises(InputError):
        read(data)
