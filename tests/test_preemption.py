"""SIGTERM: raised at once, or noted and raised when asked."""

import os
import signal

import pytest

from sjft_tf.errors import Preempted
from sjft_tf.preemption import noting, preemptible


def test_sigterm_is_raised_and_then_handled_as_before():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="stopped by SIGTERM"), preemptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Preempted), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_is_noted_and_raised_when_the_step_is_done(number, raised):
    done = []
    with pytest.raises(raised), preemptible(), noting() as asked:
        assert not asked
        asked.raise_if()
        asked.waits = True
        os.kill(os.getpid(), number)
        done.append("step")
        assert asked
        asked.raise_if()
        done.append("too much")
    assert done == ["step"]


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Preempted), (signal.SIGINT, KeyboardInterrupt)])
def test_between_steps_a_signal_works_at_once(number, raised):
    before = signal.getsignal(number)
    with pytest.raises(raised), noting() as asked:
        os.kill(os.getpid(), number)
        assert asked, "not reached"
    assert signal.getsignal(number) is before
