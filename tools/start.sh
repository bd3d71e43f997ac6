#!/usr/bin/env bash
# What the platform runs in the image, as /usr/bin/start.sh. The user may be anyone, without a home folder, and only
# /out and /tmp can be written.
set -euo pipefail

app="${APP_DIR:-/app}"
temporary="${TMPDIR:-/tmp}"
cache="$temporary/ymir-cache-$(id -u)"
mkdir -p "$temporary"
# Outside of a container the temporary folder is everybody's, and Python runs code that it finds in a home folder.
if ! mkdir -m 700 "$cache" 2>/dev/null && [[ -L "$cache" || ! -d "$cache" || ! -O "$cache" ]]; then
    cache="$(mktemp -d "$temporary/ymir-cache-XXXXXX")"
fi
if [[ -z "${HOME:-}" || ! -d "$HOME" || ! -w "$HOME" ]]; then
    export HOME="$cache" PYTHONNOUSERSITE=1
fi
export XDG_CACHE_HOME="$cache/xdg" TORCH_HOME="$cache/torch" MPLCONFIGDIR="$cache/matplotlib"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Nothing is fetched while a task runs.
export HF_HUB_OFFLINE=1
mkdir -p "$XDG_CACHE_HOME" "$TORCH_HOME" "$MPLCONFIGDIR"

exec "${PYTHON:-python3}" "$app/start.py" "$@"
