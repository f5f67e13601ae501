"""Every benchmark runs, and ends with one line of JSON that says what it says it measures."""

import json
import math
import os
import pathlib
import platform
import subprocess
import sys

import pytest

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
def test_a_small_run_ends_with_its_figures(name, tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--small", "--turns", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1]
    values = json.loads(last)
    assert values["benchmark"] == name
    for figure in FIGURES[name]:
        assert math.isfinite(values[figure])
        low, high = values["spread"].get(figure, (values[figure],) * 2)
        assert low <= high
    assert all(math.isfinite(number) for number in numbers(values))
    assert set(values["machine"]) == {"cpu", "instructions", "cores", "memory_gb", "versions"}
    assert platform.node() not in last and str(ROOT) not in last
