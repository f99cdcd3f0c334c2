#!/usr/bin/env bash
# Test the mlp's run: bash scripts/test_mlp.sh [RUN] [--data-dir DIR …]; RUN is results/mlp-digits unless named.
set -euo pipefail
cd "$(dirname "$0")/.."
run=results/mlp-digits
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    run=$1
    shift
fi
exec python -m scripts.test_model "$run" "$@"
