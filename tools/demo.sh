#!/usr/bin/env bash
# The executor on a small generated data set: training, then mining and infer with the trained model, through start.py as the platform runs it.
# usage: [PYTHON=python3.8] [VENV=.venv-3.8] bash tools/demo.sh [OUTPUT_FOLDER]      (default demo-out)
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_environment requirements.txt

out="${1:-demo-out}"
rm -rf "$out/training" "$out/predict"

run_task() {
    echo "== $1"
    DEFAULT_ENV_FILE_PATH="$out/$1/env.yaml" "$PYTHON_VENV" start.py
}

"$PYTHON_VENV" tools/demo_data.py --out "$out"
run_task training
"$PYTHON_VENV" tools/demo_task.py --root "$out"
run_task predict
"$PYTHON_VENV" tools/picture_sheet.py --task-root "$out"

echo
echo "data           $out/in"
echo "training       $out/training/out/models/result.yaml"
echo "  curves       $out/training/out/models/train_log.jsonl, $out/training/out/tensorboard"
echo "mining         $out/predict/out/result.tsv, $out/predict/out/masks, $out/predict/out/overlays"
echo "  page         $out/predict/out/mining-report.html"
echo "infer          $out/predict/out/infer-result.json"
echo "picture sheet  $out/predict/out/picture-sheet.png"
