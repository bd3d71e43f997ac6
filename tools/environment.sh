# Sourced by demo.sh and test.sh: makes the virtual environment where it is missing or stale; $PYTHON_VENV is its interpreter.
#   PYTHON  the interpreter to build it from (default python3)
#   VENV    where it lies (default .venv)

VENV="${VENV:-.venv}"
PYTHON_VENV="$VENV/bin/python"

# The interpreter of that name that really runs: a pyenv shim may exist for a version that is installed but not selected.
find_interpreter() {
    if "$1" -c '' 2>/dev/null; then
        echo "$1"
    elif command -v pyenv >/dev/null 2>&1 && [ -n "$(pyenv whence "$1" 2>/dev/null)" ]; then
        echo "$(pyenv prefix "$(pyenv whence "$1" | tail -n 1)")/bin/$1"
    else
        return 1
    fi
}

# make_environment REQUIREMENTS_FILE [MORE_FILES...]: made anew when the interpreter or the pins of the first file differ from what it was made
# from; the further files are installed on top where they are not yet.
make_environment() {
    local python wanted file
    python="$(find_interpreter "${PYTHON:-python3}")" || { echo "there is no interpreter ${PYTHON:-python3}" >&2; return 1; }
    wanted="$("$python" --version 2>&1) $(cksum <"$1")"
    if [ ! -x "$PYTHON_VENV" ] || ! grep -qxF "$wanted" "$VENV/.made-from" 2>/dev/null; then
        echo "making $VENV from $("$python" --version 2>&1) and $1"
        rm -rf "$VENV"
        "$python" -m venv "$VENV"
        "$PYTHON_VENV" -m pip install --quiet --disable-pip-version-check -r "$1"
        echo "$wanted" >"$VENV/.made-from"
    fi
    for file in "${@:2}"; do
        wanted="$file $(cksum <"$file")"
        if ! grep -qxF "$wanted" "$VENV/.made-from"; then
            echo "installing $file into $VENV"
            "$PYTHON_VENV" -m pip install --quiet --disable-pip-version-check -r "$file"
            echo "$wanted" >>"$VENV/.made-from"
        fi
    done
}
