"""With which kernels TensorFlow computes, decided in one place, so that a script and the command line agree to the bit.

TensorFlow turns oneDNN on by itself on newer processors alone, and decides when it is first imported, by the variable
`TF_ENABLE_ONEDNN_OPTS`. This module, which the package imports ahead of all others, sets the variable to 1 where it is
unset. What was imported before stays as it is; `in_force` tells.
"""

import logging
import os
import pathlib
import platform
import sys

_VARIABLE, _CEILING = "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"
# the first that a processor has is told
_INSTRUCTIONS = ("amx_tile", "avx512_vnni", "avx512f", "avx_vnni", "avx2", "asimd")
# of TensorFlow 2.20 on Linux
_ON_BY_ITSELF = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}

_logger = logging.getLogger(__name__)


def in_force() -> dict[str, str]:
    """What the rounding of this process' results depends on.

    Returns:
        `onednn`: "on" or "off", and the instruction set up to which it goes where `ONEDNN_MAX_CPU_ISA` limits it;
        `instructions`: the widest set of the processor, as Linux names it, or the kind of machine.
    """
    ceiling = os.environ.get(_CEILING)
    onednn = "on" if _SETTING is None or _SETTING.lower() not in ("0", "false") else "off"
    return {
        "onednn": f"{onednn}, up to {ceiling}" if ceiling and onednn == "on" else onednn,
        "instructions": next((name for name in _INSTRUCTIONS if name in _flags()), platform.machine()),
    }


def _flags() -> set[str]:
    """What the processor can do, in Linux' words; nothing elsewhere."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())


def _decided() -> str | None:
    """The variable as TensorFlow reads or has read it, set where that is still possible."""
    if "tensorflow" not in sys.modules:
        return os.environ.setdefault(_VARIABLE, "1")
    given = os.environ.get(_VARIABLE)
    if given is None and not _flags() & _ON_BY_ITSELF:
        _logger.warning(
            "TensorFlow was imported before sjft_tf and computes without oneDNN, with which sjft-tf computes; results will "
            "differ by rounding. Import sjft_tf first, or set %s=1",
            _VARIABLE,
        )
        return "0"
    return given


_SETTING = _decided()
