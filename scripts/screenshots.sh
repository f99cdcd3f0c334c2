#!/usr/bin/env bash
# The pictures of the report and of the drawing page that the README shows: figs/report.png and figs/draw.png.
#
#     bash scripts/screenshots.sh results/mlp-mnist results/resnet-mnist
#
# The report is of both runs, the drawing is shown to the last. Wants Chromium on PATH.
set -euo pipefail

if (($# == 0)); then
    echo "usage: bash scripts/screenshots.sh RUN…" >&2
    exit 2
fi
figs="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/figs"
scratch="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT

shoot() { # FILE HEIGHT ADDRESS
    chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
        --window-size="1200,$2" --virtual-time-budget=10000 --screenshot="$figs/$1" "$3" 2>"$scratch/log"
}

python -m scripts.report "$@" --out "$scratch/report.html"
shoot report.png 1500 "file://$scratch/report.html"

seven="78,76,90,70,110,66,135,64,160,64,185,62,204,62,196,82,182,104,168,128,156,154,146,182,138,208,132,228;104,146,130,142,160,140,188,138"
python -m scripts.draw "${!#}" --port 8765 >"$scratch/draw.log" &
until grep -q open "$scratch/draw.log"; do sleep 0.2; done
shoot draw.png 1500 "http://127.0.0.1:8765/?strokes=$seven"
ls -l "$figs/report.png" "$figs/draw.png"
