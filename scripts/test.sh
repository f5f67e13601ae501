#!/usr/bin/env bash
# Checks everything: style, types, the rooms' imports, and the tests. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment dev

cd "$root"
ruff check .
ruff format --check .
mypy
lint-imports
python -m pytest --numprocesses 2 --dist loadfile "$@"
