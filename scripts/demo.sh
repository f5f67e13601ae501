#!/usr/bin/env bash
# Runs the demo, a study on synthetic images: three ways of training with three seeds, and a page. Arguments go to `sjft-tf demo`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment

if [[ $# -eq 0 ]]; then set -- --out "$root/runs/demo"; fi
exec sjft-tf demo "$@"
