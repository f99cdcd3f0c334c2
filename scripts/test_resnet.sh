#!/usr/bin/env bash
# Test the resnet's run: bash scripts/test_resnet.sh [RUN] [--data-dir DIR …]; RUN is results/resnet-digits unless named.
set -euo pipefail
cd "$(dirname "$0")/.."
run=results/resnet-digits
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    run=$1
    shift
fi
exec python -m scripts.test_model "$run" "$@"
