#!/usr/bin/env bash
# Checks everything: style, types, the rooms' imports, and the tests. Arguments go to pytest.
# What depends on how TensorFlow computes runs three times: as this machine does it, by Eigen alone, and by oneDNN
# without AVX-512. Together these stand for the machines that are not at hand.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment dev

cd "$root"
ruff check .
ruff format --check .
mypy
lint-imports

tests() {  # pytest ends with 5 where it found no test, as with a file of the other kind
    python -m pytest --numprocesses 2 --dist loadgroup "$@" || (($? == 5))
}
tests -m "not arithmetic" "$@"
tests -m arithmetic "$@"
TF_ENABLE_ONEDNN_OPTS=0 tests -m arithmetic "$@"
ONEDNN_MAX_CPU_ISA=AVX2 tests -m arithmetic "$@"
