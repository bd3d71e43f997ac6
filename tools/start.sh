#!/usr/bin/env bash
# What the platform runs in the image, as /usr/bin/start.sh. The user may be anyone, without a home folder, and only
# /out and /tmp can be written.
set -euo pipefail

app="${APP_DIR:-/app}"
cache="${TMPDIR:-/tmp}/ymir-cache-$(id -u)"
mkdir -p "$cache"
if [[ -z "${HOME:-}" || ! -d "$HOME" || ! -w "$HOME" ]]; then
    export HOME="$cache"
fi
export XDG_CACHE_HOME="$cache/xdg" TORCH_HOME="$cache/torch" MPLCONFIGDIR="$cache/matplotlib"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
mkdir -p "$XDG_CACHE_HOME" "$TORCH_HOME" "$MPLCONFIGDIR"

exec "${PYTHON:-python3}" "$app/start.py" "$@"
