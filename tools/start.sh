#!/usr/bin/env bash
# What the platform runs in the image, as /usr/bin/start.sh. The user may be anyone, without a home folder, and only
# /out and /tmp can be written.
set -euo pipefail

# The number of a closed stream goes to the next file that is opened, and so would what libraries print.
true 3>&2 || exec 2>/dev/null
true 2>/dev/null 3<&0 || exec </dev/null
true 2>/dev/null 3>&1 || exec >/dev/null

app="${APP_DIR:-/app}"
temporary="${TMPDIR:-/tmp}"
cache="$temporary/ymir-cache-$(id -u)"
# Where nothing can be written there, start.py still runs, and leaves the reason in monitor.txt when it cannot go on.
mkdir -p "$temporary" || true
# Outside of a container the temporary folder is everybody's, and Python runs code that it finds in a home folder.
if ! mkdir -m 700 "$cache" 2>/dev/null && [[ -L "$cache" || ! -d "$cache" || ! -O "$cache" ]]; then
    cache="$(mktemp -d "$temporary/ymir-cache-XXXXXX")" || cache="$temporary/ymir-cache"
fi
if [[ -z "${HOME:-}" || ! -d "$HOME" || ! -w "$HOME" ]]; then
    export HOME="$cache" PYTHONNOUSERSITE=1
fi
export XDG_CACHE_HOME="$cache/xdg" TORCH_HOME="$cache/torch" MPLCONFIGDIR="$cache/matplotlib"
# File names are UTF-8 whatever the locale.
export PYTHONUTF8=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Nothing is fetched while a task runs.
export HF_HUB_OFFLINE=1
mkdir -p "$XDG_CACHE_HOME" "$TORCH_HOME" "$MPLCONFIGDIR" || true

exec "${PYTHON:-python3}" "$app/start.py" "$@"
