"""Description and search killed at random moments, and on a full disk: in the end the table of an undisturbed search."""

import random
import signal
import subprocess
import sys
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
sys.stdin.readline()
cli.main(["--quiet", "search", *sys.argv[1:]])
"""


class Search:
    """A search in a process of its own, with a store; the program is loaded, and waits for a word to begin."""

    def __init__(self, config, out):
        command = [sys.executable, "-c", SLOWLY, str(config), "--out", str(out), "--set", "descriptor.store=true"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def run(self, kill_after=None):
        """Begin, and kill it after so many seconds if it is not done by then; returns the exit status and the seconds."""
        begun = time.monotonic()
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        try:
            self.process.wait(kill_after)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdin.close()
        return self.process.wait(), time.monotonic() - begun


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("config") / "a.yaml"
    path.write_text(config_text)
    return path


def test_ten_kills_at_random_moments_and_lost_shards(tmp_path, config):
    expected, out, moments = tmp_path / "expected", tmp_path / "out", random.Random(0)
    search, following = Search(config, expected), Search(config, out)  # the next one loads while one works
    status, seconds = search.run()
    assert status == 0
    kills = 0
    while kills < 10:
        search, following = following, Search(config, out)
        kills += search.run(kill_after=moments.uniform(0, 0.6 * seconds))[0] == -signal.SIGKILL
        if (out / "neighbors.npz").exists():  # it was done before; something is lost, and work begins again
            assert_same(out, expected)
            (out / "neighbors.npz").unlink()
            for shard in moments.sample(sorted((out / "descriptors").iterdir()), moments.choice([1, 5])):
                shard.unlink()
    assert following.run()[0] == 0
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
