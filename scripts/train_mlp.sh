#!/usr/bin/env bash
# Train the mlp on the embedded digits, or on what the arguments say: bash scripts/train_mlp.sh --data mnist
set -euo pipefail
cd "$(dirname "$0")/.."
exec python -m scripts.train_model --config scripts/configs/mlp.toml "$@"
