"""Bars are drawn on a terminal, and what is logged meanwhile stands above them."""

import io
import logging
import sys

import pytest
import rich.console

from sjft_tf import progress
from sjft_tf.config import parse_experiment
from sjft_tf.workspace import RunFolder, Workspace


@pytest.fixture
def terminal(monkeypatch, caplog):
    """What a terminal would be sent."""
    caplog.set_level("INFO", "sjft_tf")
    console = rich.console.Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(progress, "console", console)
    return console.file


def test_indexing_shows_how_far_it_is(terminal, config_text, tmp_path):
    workspace = Workspace(parse_experiment(config_text), RunFolder(tmp_path))
    workspace.domains()
    shown = terminal.getvalue()
    for role, count in (("target", 12), ("validation", 12), ("test", 12), ("source", 24)):
        assert f"index {role}" in shown and f"{count}/{count}" in shown


def test_log_lines_go_by_way_of_the_terminal_while_there_is_a_bar(terminal):
    stream, handler = sys.stderr, logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        with progress.watching("a task"):
            logging.getLogger("sjft_tf").warning("a line of its own")
        assert handler.stream is stream
    finally:
        logging.getLogger().removeHandler(handler)
    assert "\r\x1b[2Ka line of its own\n" in terminal.getvalue()  # where the bar was
