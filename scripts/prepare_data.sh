#!/usr/bin/env bash
# Unpacks the image archives into data/ and copies the pretrained weights into weights/; git ignores both.
# usage: scripts/prepare_data.sh [ARCHIVES [WEIGHTS]]
# ARCHIVES holds the archives and their extract.py (default: ../shared/data beside this repository), WEIGHTS the .npz
# files (default: the folder weights beside ARCHIVES). What is there already is left alone.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
archives=${1:-$root/../shared/data}
weights=${2:-$archives/../weights}

if [[ ! -f $archives/extract.py ]]; then
    echo "$archives has no extract.py; name the folder of the image archives as the first argument." >&2
    exit 2
fi
if ! ls "$weights"/*.npz >/dev/null 2>&1; then
    echo "$weights has no .npz files; name the folder of the weights as the second argument." >&2
    exit 2
fi
python3 "$archives/extract.py" "$root/data"
mkdir -p "$root/weights"
for file in "$weights"/*.npz; do
    copy=$root/weights/$(basename "$file")
    if ! cmp -s "$file" "$copy"; then
        cp "$file" "$copy.part"
        mv "$copy.part" "$copy"
    fi
    echo "$copy"
done
