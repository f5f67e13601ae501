"""A script, the command line and the tests compute with the same kernels."""

import json
import subprocess
import sys

import pytest

from sjft_tf import arithmetic
from sjft_tf.workspace import versions

REPORT = "; import json; from sjft_tf import arithmetic; print(json.dumps(arithmetic.in_force()))"
TENSORFLOW = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow')"  # as if it were imported
OLD = "import pathlib; pathlib.Path.read_text = lambda path: 'flags : sse2 avx avx2 fma'"
NEW = "import pathlib; pathlib.Path.read_text = lambda path: 'flags : sse2 avx avx2 avx512f avx512_vnni'"


def reported(monkeypatch, program, setting=None, ceiling=None):
    for name, value in (("TF_ENABLE_ONEDNN_OPTS", setting), ("ONEDNN_MAX_CPU_ISA", ceiling)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    run = subprocess.run([sys.executable, "-c", program + REPORT], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1]), run.stderr


@pytest.mark.arithmetic
def test_what_is_told_of_this_process_is_what_tensorflow_does():
    from tensorflow.python.util import _pywrap_util_port  # which knows it, but is not public

    assert _pywrap_util_port.IsMklEnabled() == arithmetic.in_force()["onednn"].startswith("on")
    assert arithmetic.in_force().items() <= versions().items()


def test_script_and_command_line_agree_where_nothing_is_set(monkeypatch):
    script = "import sjft_tf, os; assert os.environ['TF_ENABLE_ONEDNN_OPTS'] in '01'"
    command = "from sjft_tf.cli import main; main(['--help'], standalone_mode=False)"
    (one, _), (other, _) = reported(monkeypatch, script), reported(monkeypatch, command)
    assert one == other


@pytest.mark.parametrize(
    ("processor", "ceiling", "onednn"),
    [(NEW, None, "on"), (OLD, None, "off"), (NEW, "AVX2", "off"), (NEW, "AVX512_CORE", "on")],
)
def test_onednn_is_taken_with_avx512_alone(monkeypatch, processor, ceiling, onednn):
    # up to AVX2 it trains to other weights each time
    assert reported(monkeypatch, f"{processor}; import sjft_tf", None, ceiling)[0]["onednn"].split(",")[0] == onednn


@pytest.mark.parametrize("program", ["import sjft_tf", f"{TENSORFLOW}; import sjft_tf"])
def test_what_is_set_holds(monkeypatch, program):
    assert reported(monkeypatch, f"{OLD}; {program}", "0", "AVX2") == ({"onednn": "off", "instructions": "avx2"}, "")
    assert reported(monkeypatch, f"{OLD}; {program}", "1", "AVX2")[0]["onednn"] == "on, up to AVX2"


def test_tensorflow_imported_first_decides_by_itself_and_a_difference_is_said(monkeypatch):
    first = f"{TENSORFLOW}; import sjft_tf, os; assert 'TF_ENABLE_ONEDNN_OPTS' not in os.environ"
    assert reported(monkeypatch, f"{OLD}; {first}") == ({"onednn": "off", "instructions": "avx2"}, "")
    assert reported(monkeypatch, f"{NEW}; {first}") == ({"onednn": "on", "instructions": "avx512_vnni"}, "")
    found, said = reported(monkeypatch, f"{NEW}; {first}", None, "AVX2")
    assert found["onednn"] == "on, up to AVX2"
    assert len(said.splitlines()) == 1 and "would have set TF_ENABLE_ONEDNN_OPTS=0" in said
