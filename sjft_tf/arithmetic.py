"""With which kernels TensorFlow computes, decided in one place, so that a script and the command line agree to the bit.

TensorFlow turns oneDNN on by itself on newer processors alone, and decides when it is first imported, by the variable
`TF_ENABLE_ONEDNN_OPTS`. This module, which the package imports ahead of all others, sets the variable where it is unset: to
1 with AVX-512, else to 0, because up to AVX2 two equal trainings with oneDNN end in different weights (TensorFlow 2.20).
What was imported before stays as it is; `in_force` tells.
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
    is_wide = os.environ.get(_CEILING, "AVX512").upper().startswith(("AVX512", "AVX10", "ALL", "DEFAULT"))
    ours = "1" if is_wide and "avx512_vnni" in _flags() else "0"
    if "tensorflow" not in sys.modules:
        return os.environ.setdefault(_VARIABLE, ours)
    found = os.environ.get(_VARIABLE, "1" if _flags() & _ON_BY_ITSELF else "0")
    if _VARIABLE not in os.environ and found != ours:
        told = (
            "TensorFlow was imported before sjft_tf, which would have set %s=%s; results differ. Import sjft_tf first"
        )
        _logger.warning(told, _VARIABLE, ours)
    return found


_SETTING = _decided()
