"""Cells in processes of their own, made by a shell: what fails, what is killed, what resumes, and what is left alone."""

import csv
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from sjft_tf.config import parse_study
from sjft_tf.errors import InputError
from sjft_tf.studies.plan import run_path
from sjft_tf.studies.runner import remaining
from sjft_tf.studies.study import run_study

RUNS = [run_path(arm, seed) for seed in (0, 1) for arm in ("plain", "random", "selective")]


def starts(folder) -> list[str]:
    """The cells that were started, in order."""
    return (folder / "starts").read_text().split()


def rows(folder) -> list[dict[str, str]]:
    """`study.csv`."""
    with open(folder / "study.csv") as file:
        return list(csv.DictReader(file))


def state(folder) -> dict:
    """Inode, time of change and content of every file of the cells."""
    paths = [path for path in (folder / "cells").rglob("*") if path.is_file()]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
    return found


def is_running(process_id: int) -> bool:
    """Whether there is such a process, and not only its exit status."""
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_study_makes_every_cell_once_and_a_second_start_none(study, shell, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="sjft_tf"):
        data, failures = run_study(study(), tmp_path, command=shell())
    assert not failures and (data.n_finished, data.n_cells) == (7, 7)
    assert sorted(starts(tmp_path)) == sorted([*RUNS, *(p for p in starts(tmp_path) if "search" in p)])
    lines = [record.message for record in caplog.records if record.message.startswith("study: ")]
    assert len(lines) == 8 and lines[0] == "study: 0 of 7 cells are finished; the others are made, 1 at a time"
    assert lines[1].startswith("study: 1 of 7 cells: search of neighbors; about ")
    assert (
        lines[-1] == "study: 7 of 7 cells: selective, seed 1, mean class accuracy 72.0 % (test); that was the last one"
    )
    before = state(tmp_path)
    again, _ = run_study(study(), tmp_path, command=shell())
    assert again == data and state(tmp_path) == before and len(starts(tmp_path)) == 7
    suffixes = {path.suffix for path in tmp_path.glob("study.*")}
    assert suffixes == {".csv", ".html", ".json", ".md", ".yaml"}


def test_a_finished_study_takes_arms_and_seeds_and_touches_no_other_cell(study, shell, tmp_path):
    run_study(study(), tmp_path, command=shell())
    before = state(tmp_path)
    arms = "arms: {new: {selection.mode: all}, plain: {selection.mode: none}, random: {selection.mode: random}}"
    data, _ = run_study(study(arms=arms, seeds="seeds: [0, 1, 4]\ncompare_to: plain"), tmp_path, command=shell())
    assert [arm.name for arm in data.arms] == ["new", "plain", "random"]
    assert [len(arm.by_seed) for arm in data.arms] == [3, 3, 3]
    assert len(starts(tmp_path)) == 7 + 5
    after = state(tmp_path)
    assert {path: after.get(path) for path in before} == before
    # the arm that was left out is known still
    with pytest.raises(InputError, match="another arm of that name: selective is"):
        run_study(
            study(arms="arms: {random: {selection.mode: random}, selective: {training.momentum: 0}}"),
            tmp_path,
            command=shell(),
        )
    run_study(study(), tmp_path, command=shell())
    assert len(starts(tmp_path)) == 12


def test_tuning_runs_every_trial_first_and_runs_get_what_was_chosen(study, shell, tmp_path):
    grid = "tuning: {grid: {training.learning_rate: [0.1, 0.2, 0.15]}}"
    data, _ = run_study(study(grid), tmp_path, command=shell())
    assert [arm.tuned for arm in data.arms] == [{"training.learning_rate": 0.2}] * 3
    assert [round(arm.validation) for arm in data.arms] == [70, 80, 90]
    runs = [row for row in rows(tmp_path) if row["kind"] == "run"]
    assert {row["training.learning_rate"] for row in runs} == {"0.2"}
    trials = [row for row in rows(tmp_path) if row["kind"] == "trial"]
    assert len(trials) == 9 and {row["accuracy"] for row in trials} == {""}


def test_a_failed_cell_is_named_with_its_last_line_and_ends_no_other(study, shell, tmp_path, caplog):
    bad = 'case "$3" in */random/seed-1) echo; echo "first line"; echo "sjft-tf: it has no images" >&2; exit 2;; esac'
    data, (failure,) = run_study(study(), tmp_path, command=shell(bad))
    log = tmp_path / "cells/random/seed-1.log"
    assert failure.words() == f"random, seed 1 failed: sjft-tf: it has no images; see {log}"
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"study: {failure.words()}"]
    assert "first line" in log.read_text() and data.n_finished == 6
    assert "random: no run yet with seed 1." in data.failures
    assert [contrast.verdict for contrast in data.contrasts] == ["not measured"] * 2  # one pair is left
    assert len(rows(tmp_path)) == 6
    again, failures = run_study(study(), tmp_path, command=shell())
    assert not failures and again.n_finished == 7 and len(starts(tmp_path)) == 8


def test_a_killed_cell_and_one_that_leaves_nothing_are_failures(study, shell, tmp_path):
    bad = 'case "$3" in */plain/seed-0) kill -9 $$;; */plain/seed-1) exit 0;; esac'
    _, failures = run_study(study(), tmp_path, command=shell(bad))
    assert {found.name: found.reason for found in failures} == {
        "plain, seed 0": "ended by signal 9", "plain, seed 1": "it left no cell.json",
    }  # fmt: skip


def test_what_waits_for_a_failed_search_or_trial_is_not_made(study, shell, tmp_path):
    bad = 'case "$3" in */random/trial-*|*/search/*) exit 3;; esac'
    grid = "tuning: {grid: {training.learning_rate: [0.1, 0.2]}}"
    data, failures = run_study(study(grid), tmp_path, command=shell(bad))
    assert [found.reason for found in failures] == ["exit code 3"]
    assert [len(arm.by_seed) for arm in data.arms] == [2, 0, 0]
    assert {path.split("/")[1] for path in starts(tmp_path)} == {"search", "plain"}


def test_as_many_cells_run_at_a_time_as_asked_each_with_its_share_of_the_cores(study, shell, tmp_path):
    cells = study(arms="arms: {plain: {selection.mode: none}}", seeds="seeds: [0, 1, 2, 3]")
    # a cell ends when another one has started, so that one at a time would never end
    meet = (
        'mkdir -p now; touch now/$$; ls now | wc -l >> running; echo "$TF_NUM_INTRAOP_THREADS" >> threads; '
        "while [ $(wc -l < starts) -lt 2 ]; do sleep 0.02; done; sleep 0.1; rm now/$$"
    )
    _, failures = run_study(cells, tmp_path, jobs=2, command=shell(meet))
    assert not failures and len(starts(tmp_path)) == 4
    assert max(map(int, (tmp_path / "running").read_text().split())) == 2
    share = str(max(1, os.cpu_count() // 2))
    assert set((tmp_path / "threads").read_text().split()) == {os.environ.get("TF_NUM_INTRAOP_THREADS", share)}


def test_only_makes_a_run_again_and_no_other(study, shell, tmp_path):
    run_study(study(), tmp_path, command=shell())
    before = state(tmp_path)
    (tmp_path / "cells/random/seed-1/left.npz").write_bytes(b"of the run before")
    run_study(study(), tmp_path, only=["arm=random,seed=1"], command=shell())
    assert starts(tmp_path)[7:] == ["cells/random/seed-1"]
    assert not (tmp_path / "cells/random/seed-1/left.npz").exists()
    after = state(tmp_path)
    made = tmp_path / "cells/random/seed-1/cell.json"
    assert after.pop(made)[1] != before.pop(made)[1]  # the time; the number of a deleted file may be given again
    others = {path for path in before if path.parent.name != "random" or "seed-1" not in path.name}
    assert {path: after[path] for path in others} == {path: before[path] for path in others}


def test_only_makes_nothing_else_in_a_new_study_but_what_the_run_waits_for(study, shell, tmp_path):
    grid = "tuning: {grid: {training.learning_rate: [0.1, 0.2]}}"
    run_study(study(grid), tmp_path, only=["arm=random,seed=1"], command=shell())
    search, *others = starts(tmp_path)
    assert "search" in search
    assert [path.split("-")[0] for path in others] == ["cells/random/trial", "cells/random/trial", "cells/random/seed"]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("arm=rand", "names no arm; write arm=NAME,seed=N with one of plain, random, selective"),
        ("random", "names no arm"),
        ("arm=random,seed=9", "names no seed of the study; they are 0, 1"),
        ("arm=random,sed=1", "names no arm"),
    ],
)
def test_only_of_what_there_is_not_is_refused_and_nothing_written(study, shell, tmp_path, only, said):
    with pytest.raises(InputError, match=said):
        run_study(study(), tmp_path / "out", only=[only], command=shell())
    assert not (tmp_path / "out").exists()


GRID = "tuning: {grid: {training.learning_rate: [0.1]}}"


def test_a_wider_grid_keeps_trials_and_makes_those_runs_again_whose_values_change(study, shell, tmp_path):
    """Accuracy grows with the learning rate, so what is above 0.1 is chosen, and what is below is not."""
    first, _ = run_study(study(GRID), tmp_path, command=shell())
    finished, before = starts(tmp_path), state(tmp_path)
    assert [arm.at_edge for arm in first.arms] == [[]] * 3  # of one value there is no edge
    lower, _ = run_study(study(GRID.replace("[0.1]", "[0.05, 0.1]")), tmp_path, command=shell())
    added = starts(tmp_path)[len(finished) :]
    assert len(added) == 3 and all("/trial-" in path for path in added)
    assert {path: there for path, there in state(tmp_path).items() if path in before} == before
    assert "The best training.learning_rate is at the grid's edge for plain, random, selective" in lower.words()[-1]
    (tmp_path / "cells/plain/seed-0/left.npz").write_bytes(b"of the run before")
    higher, _ = run_study(study(GRID.replace("[0.1]", "[0.05, 0.1, 0.2]")), tmp_path, command=shell())
    made = starts(tmp_path)[len(finished) + len(added) :]
    assert sorted(path for path in made if "/trial-" not in path) == sorted(RUNS) and len(made) == 3 + 6
    assert not (tmp_path / "cells/plain/seed-0/left.npz").exists()
    assert [arm.tuned for arm in higher.arms] == [{"training.learning_rate": 0.2}] * 3
    for other in ("{learning_rate: [0.05, 0.1]}}", "{learning_rate: [0.05, 0.1, 0.2]}, seed: 1}"):
        with pytest.raises(InputError, match="another tuning"):
            run_study(
                study(f"tuning: {{grid: {other.replace('learning', 'training.learning')}"), tmp_path, command=shell()
            )


@pytest.mark.parametrize(
    ("more", "change", "said"),
    [
        (
            "",
            {"arms": "arms: {plain: {}, random: {selection.mode: random}}"},
            "another arm of that name: plain is {'selection.mode': 'none'} there and {} here",
        ),
        (
            "budget: {target_images: 100}",
            {},
            "a study of another budget: it is None there and {'target_images': 100} here",
        ),
        (GRID, {}, "a study of another tuning: it is None there and"),
    ],
)
def test_a_folder_of_another_study_is_refused_in_one_line(study, shell, tmp_path, more, change, said):
    run_study(study(), tmp_path, command=shell())
    before = state(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        run_study(study(more, **change), tmp_path, command=shell())
    assert "\n" not in str(error.value) and state(tmp_path) == before and len(starts(tmp_path)) == 7


def test_a_folder_of_another_base_or_of_no_study_is_refused(study, shell, tmp_path):
    first = study()
    run_study(first, tmp_path / "out", command=shell())
    other = parse_study(first.to_yaml(), ["base.training.momentum=0.5"])
    with pytest.raises(
        InputError, match="another base config: training.momentum is 0.9 there and 0.5 here; take another"
    ):
        run_study(other, tmp_path / "out", command=shell())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("everything")
    with pytest.raises(InputError, match="holds files that are of no study"):
        run_study(first, tmp_path / "thesis", command=shell())
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_the_rest_is_told_by_what_cells_of_a_kind_took():
    assert remaining([("run", 10.0), ("run", 20.0), ("search", 3.0)], ["run", "run"], 1) == 30
    assert remaining([("run", 10.0), ("run", 20.0)], ["run", "run"], 2) == 15
    assert remaining([("search", 4.0)], ["run"], 2) == 4  # of what is left only one can run at a time


PROGRAM = """
    import json, pathlib, signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
    sys.path.insert(0, {tests!r})
    from sjft_tf.cli.running import user_errors
    from sjft_tf.config import load_study
    from sjft_tf.studies.study import run_study
    from studies_conftest import SCRIPT, told

    def command(cell, folder):
        # a second later, so that the study has its process in hand when it is stopped
        before = 'case "$3" in */selective/seed-0) sleep 1; echo $$ > waiting; [ -e go ] || exec {block};; esac'
        script = f'cd "{{folder}}"\\n{{SCRIPT.format(before=before)}}'
        return ["sh", "-c", script, "sh", cell.path, json.dumps(told(cell)), cell.path]

    with user_errors():
        run_study(load_study(sys.argv[1]), pathlib.Path(sys.argv[2]), command=command)
"""


@pytest.fixture
def begun(study, tmp_path):
    """A study in a process of its own, of which a cell waits until it is killed: `begun() -> process, its cell's id`."""
    (tmp_path / "study.yaml").write_text(study().to_yaml())
    shutil.copy(pathlib.Path(__file__).with_name("conftest.py"), tmp_path / "studies_conftest.py")
    out, started = tmp_path / "out", []

    def begun(block="cat"):
        program = textwrap.dedent(PROGRAM).format(tests=str(tmp_path), block=block)
        (out / "waiting").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "study.yaml"), str(out)], stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        if not (out / "go").exists():
            return process, int(wait_for(lambda: (out / "waiting").exists() and (out / "waiting").read_text().strip()))
        return process, 0

    yield begun
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_study_stopped_in_a_cell_leaves_no_process_and_ends_in_the_same_table(
    study, shell, begun, tmp_path, number
):  # fmt: skip
    out = tmp_path / "out"
    # one that looks at its pipe, or where the study itself can stop it, one that does not
    process, cell = begun("cat" if number == signal.SIGKILL else "sleep 600")
    assert is_running(cell)
    process.send_signal(number)
    process.wait(60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 75}[number]
    wait_for(lambda: not is_running(cell))
    before = starts(out)
    assert "cells/selective/seed-0" in before
    (out / "go").touch()
    process, _ = begun()
    process.wait(60)
    assert process.returncode == 0, process.stderr.read()
    made_again = [path for path in starts(out)[len(before) :] if path in before]
    assert made_again == ["cells/selective/seed-0"]
    run_study(study(), tmp_path / "undisturbed", command=shell())
    assert rows(out) == rows(tmp_path / "undisturbed")


def test_two_cannot_work_on_one_study(study, shell, begun, tmp_path):
    begun()
    with pytest.raises(InputError, match="is in use by another process"):
        run_study(study(), tmp_path / "out", command=shell())


def test_a_process_asked_to_end_with_its_parent_does(tmp_path):
    program = (
        "import time; from sjft_tf.preemption import end_with_parent\n"
        "end_with_parent(); print('ready', flush=True); time.sleep(300)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"ready\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == -signal.SIGTERM
