"""A container without a container engine: namespaces of Linux, entered by util-linux's unshare, mount and setpriv.

Inside there is the host's system as it is but read-only, the code at /app and the input at /in, both read-only, /out
and /tmp that can be written, no network, and a user whose number has neither a name nor a home folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[2]
UID = 12345

_ENTER = r"""
set -euo pipefail
root="$WORK/root"
mount --make-rprivate /
mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
read_only() {
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
}
for folder in /bin /sbin /lib /lib32 /lib64 /usr /etc; do
    if [[ -L "$folder" ]]; then cp -P "$folder" "$root$folder"
    elif [[ -d "$folder" ]]; then read_only "$folder" "$folder"; fi
done
mkdir -p "$root"/{proc,dev,tmp,out}
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o "mode=1777,size=$SHM_SIZE" tmpfs "$root/dev/shm"
IFS=: read -ra folders <<< "$PYTHON_FOLDERS"
for folder in "${folders[@]}"; do read_only "$folder" "$folder"; done
read_only "$APP" /app
read_only "$WORK/in" /in
mount --bind "$WORK/out" "$root/out"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups --no-new-privs --bounding-set=-all \
    env -i PATH=/usr/local/bin:/usr/bin:/bin PYTHON="$PYTHON" OMP_NUM_THREADS=1 bash /in/command.sh
"""


def unavailable() -> str:
    """Why this machine cannot do it; empty where it can."""
    missing = [tool for tool in ("unshare", "setpriv", "mount", "chroot") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if os.geteuid() != 0:
        return "only root can become a user without a name"
    probe = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "bash",
        "-c",
        "mount --make-rprivate / && mount -t tmpfs x /mnt",
    ]
    done = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return f"namespaces are not allowed: {done.stdout.decode().strip()}" if done.returncode else ""


def _python_folders() -> List[str]:
    """What the interpreter of the tests is made of, but for what lies below /usr anyway."""
    real = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    folders = sorted({sys.prefix, sys.base_prefix, real})
    return [folder for folder in folders if not folder.startswith("/usr")]


def run_inside(work: Path, command: str, *, shm_size: str = "64m") -> "subprocess.CompletedProcess[bytes]":
    """Run a shell command with `work`/in as /in and `work`/out as /out, which afterwards belongs to the user `UID`."""
    (work / "out").mkdir(exist_ok=True)
    os.chown(str(work / "out"), UID, UID)
    (work / "in" / "command.sh").write_text(command)
    environment: Dict[str, str] = {
        "PATH": os.environ["PATH"],
        "WORK": str(work),
        "APP": str(ROOT),
        "SHM_SIZE": shm_size,
        "USER_ID": str(UID),
        "PYTHON": sys.executable,
        "PYTHON_FOLDERS": ":".join(_python_folders()),
    }
    return subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", _ENTER],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
