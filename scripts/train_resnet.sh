#!/usr/bin/env bash
# Train the resnet on the embedded digits, or on what the arguments say: bash scripts/train_resnet.sh --data mnist
set -euo pipefail
cd "$(dirname "$0")/.."
exec python -m scripts.train_model --config scripts/configs/resnet.toml "$@"
