"""Description and search killed at random moments, and on a full disk: in the end the table of an undisturbed search."""

import random
import signal
import subprocess
import time

import numpy as np
import pytest

# Blocks of four images, and writes that take their time, so that there are moments to be killed at.
SLOWLY = """
import os, sys, time
from sjft_tf.descriptors import described
described.BLOCK_ROWS = 4
replace = os.replace
def slow_replace(*paths):
    time.sleep(0.03)
    replace(*paths)
    time.sleep(0.03)
os.replace = slow_replace
from sjft_tf import cli, pipeline
open(sys.argv.pop(), "w").close()
cli.main()
"""


@pytest.fixture
def search(forked, config, tmp_path):
    """`search(out, moment=None)`: a search with a store, killed so long after it began; its status and seconds."""

    def search(out, moment=None):
        begun = tmp_path / "begun"
        begun.unlink(missing_ok=True)
        settings = ("--set", "descriptor.store=true")
        process = forked(SLOWLY, "--quiet", "search", config, "--out", out, *settings, begun)
        while not begun.exists() and process.wait(0.001) is None:
            pass
        start = time.monotonic()
        if process.wait(moment) is None:
            process.process.kill()
        return process.wait(), time.monotonic() - start

    return search


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("config") / "a.yaml"
    path.write_text(config_text)
    return path


def test_ten_kills_at_random_moments_and_lost_shards(tmp_path, search):
    expected, out, moments, kills = tmp_path / "expected", tmp_path / "out", random.Random(0), 0
    status, seconds = search(expected)
    assert status == 0
    while kills < 10:
        kills += search(out, moments.uniform(0, 0.6 * seconds))[0] == -signal.SIGKILL
        if (out / "neighbors.npz").exists():  # it was done before; something is lost, and work begins again
            assert_same(out, expected)
            (out / "neighbors.npz").unlink()
            for shard in moments.sample(sorted((out / "descriptors").iterdir()), moments.choice([1, 5])):
                shard.unlink()
    assert search(out)[0] == 0
    assert len(list((out / "descriptors").iterdir())) == 6
    assert_same(out, expected)
    assert not list(out.rglob(".*.tmp-*")) and not (out / "search").exists()


def test_a_full_disk_is_one_line_and_more_room_is_all_it_takes(tmp_path, config, sjft):
    disk, settings = tmp_path / "disk", ("--set", "descriptor.store=true", "--set", "descriptor.bins=100",
                                         "--set", "descriptor.fine_bins=1000")  # fmt: skip
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        result = sjft("search", config, "--out", disk / "run", *settings)
        assert result.exit_code == 2
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("sjft-tf: ") and last.endswith("cannot be written: No space left on device"), last
        assert not (disk / "run" / "neighbors.npz").exists()
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert sjft("search", config, "--out", disk / "run", *settings).exit_code == 0
        assert sjft("search", config, "--out", tmp_path / "roomy", *settings).exit_code == 0
        assert_same(disk / "run", tmp_path / "roomy")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def assert_same(out, expected):
    with np.load(out / "neighbors.npz") as table, np.load(expected / "neighbors.npz") as undisturbed:
        for name in ("indices", "divergences"):
            np.testing.assert_array_equal(table[name], undisturbed[name])
