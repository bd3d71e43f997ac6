#!/usr/bin/env bash
# Lint and test, in an environment of its own. usage: [PYTHON=python3.8] [VENV=.venv-3.8] bash tools/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_environment requirements.txt tests/requirements.txt

"$PYTHON_VENV" -m ruff check .
"$PYTHON_VENV" -m ruff format --check .

# One thread a process: the tests run in as many processes as there are cores.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE=1
"$PYTHON_VENV" -m pytest -n "$(getconf _NPROCESSORS_ONLN)" "$@"
