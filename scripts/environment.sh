# Sourced by the scripts beside it. `prepare_environment [EXTRA]` makes a virtual environment that holds this package in
# editable form, its requirements and those of EXTRA in the versions of constraints.txt, and puts it first in PATH.
# It is .venv in the repository, or SJFT_VENV. One that is up to date is used at once; one left half-made is replaced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment=${SJFT_VENV:-$root/.venv}
[[ $environment == /* ]] || environment=$PWD/$environment
state=$environment/.sjft-tf  # what is installed; empty while installing

prepare_environment() {
    local wanted
    wanted="$(cat "$root"/{setup.cfg,pyproject.toml,constraints.txt} | cksum | tr ' ' '-') $*"
    mkdir -p "$(dirname "$environment")"
    (
        if command -v flock >/dev/null; then flock 9; fi  # two scripts may be started at once
        if ! up_to_date "$wanted"; then
            make_environment
            install_package "$@"
            echo "$wanted" >"$state"
        fi
    ) 9>"$environment.lock"
    PATH=$environment/bin:$PATH
}

up_to_date() {
    [[ -s $state && "$(<"$state")" == "$1"* ]] && "$environment/bin/python" -c '' 2>/dev/null
}

make_environment() {
    local python
    if [[ -s $state ]] && "$environment/bin/python" -c '' 2>/dev/null; then return; fi
    if [[ -e $environment && ! -e $state && -n "$(ls -A "$environment")" ]]; then
        echo "$environment was not made by this script; remove it, or name another folder in SJFT_VENV." >&2
        return 1
    fi
    python=$(find_python)
    rm -rf "$environment"
    mkdir "$environment"
    : >"$state"
    "$python" -m venv "$environment"
}

find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
        then
            echo "$candidate"
            return
        fi
    done
    echo "sjft-tf needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian and Ubuntu: python3-venv)." >&2
    return 1
}

install_package() {
    local requirements=("$environment/bin/python" "$root/scripts/requirements.py" "$@")
    local install=("$environment/bin/python" -m pip --disable-pip-version-check install --quiet)
    if [[ "$(nvidia-smi -L 2>/dev/null)" == GPU* ]]; then
        requirements+=(cuda)
    elif [[ "$(uname -sm)" == "Linux x86_64" ]]; then  # elsewhere tensorflow has no CUDA anyway
        requirements+=(--cpu)
    fi
    echo "installing into $environment; the first time takes some minutes ..." >&2
    : >"$state"
    "${requirements[@]}" >"$environment/requirements.txt"
    "${install[@]}" --constraint "$root/constraints.txt" --requirement "$environment/requirements.txt"
    "${install[@]}" --no-deps --no-build-isolation --editable "$root"
}
