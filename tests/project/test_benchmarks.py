"""Every benchmark runs, and ends with one line of JSON that says what it says it measures."""

import json
import math
import pathlib
import platform

import pytest

# What `python SCRIPT ...` does.
SCRIPT = """
import os, runpy, sys
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ROOT = pathlib.Path(__file__).resolve().parents[2]
FIGURES = {
    "exact_search": ["gemm_ratio", "faiss_ratio", "gemm_ratio_many"],
    "ann_recall": ["recall", "speedup", "speedup_built"],
    "descriptors": ["alexnet_conv_ratio", "gabor_speedup"],
    "growth": ["time_exponent", "memory_growth_mb"],
    "descriptor_choices": [],
    "specificity": [],
    "joint_step": ["time_ratio"],
    "input_pipeline": ["headroom"],
    "round_callback": ["overhead_ratio", "ready_ratio"],
    "resume": ["checkpoint_overhead"],
    "gpu_training": ["constant_ratio", "keras_ratio"],
}


def numbers(value):
    """All numbers in a JSON value."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.parametrize("name", FIGURES)
def test_a_small_run_ends_with_its_figures(name, forked):
    run = forked(SCRIPT, ROOT / "benchmarks" / f"{name}.py", "--small", "--turns", "1", PYTHONPATH=str(ROOT))
    assert run.wait() == 0, run.errors
    last = run.output.splitlines()[-1]
    values = json.loads(last)
    assert values["benchmark"] == name
    for figure in FIGURES[name]:
        assert math.isfinite(values[figure])
        low, high = values["spread"].get(figure, (values[figure],) * 2)
        assert low <= high
    assert all(math.isfinite(number) for number in numbers(values))
    assert set(values["machine"]) == {"cpu", "instructions", "onednn", "cores", "memory_gb", "versions"}
    assert platform.node() not in last and str(ROOT) not in last
