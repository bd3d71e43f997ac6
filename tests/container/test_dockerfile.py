"""The image cannot be built here; so what its files say is held against the tree, and the start script is run."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATES = ("training-template.yaml", "mining-template.yaml", "infer-template.yaml")


def instructions():
    """The Dockerfile as (INSTRUCTION, rest) pairs, continued lines joined and comments left out."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def arguments_of(name):
    return [rest for instruction, rest in instructions() if instruction == name]


def copies():
    """Source in the tree to place in the image, for every COPY."""
    found = {}
    for rest in arguments_of("COPY"):
        *sources, target = [part for part in rest.split() if not part.startswith("--")]
        for source in sources:
            found[source] = os.path.normpath(os.path.join("/app", target, source if target == "./" else ""))
    return found


def ignored(path):
    """Whether .dockerignore keeps the path out of the build: the last pattern for it or a folder above decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        expression = re.escape(pattern.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{expression}(?:/.*)?", path):
            out = not keeps
    return out


def test_the_default_is_the_torch_and_cuda_of_the_older_executors():
    (base,) = [rest for rest in arguments_of("ARG") if rest.startswith("BASE_IMAGE=")]
    assert base == "BASE_IMAGE=pytorch/pytorch:1.8.0-cuda11.1-cudnn8-runtime"
    assert instructions()[0] == ("ARG", base) and arguments_of("FROM") == ["${BASE_IMAGE}"]


def test_every_copied_file_is_in_the_tree_and_in_the_build():
    assert {"requirements.txt", "start.py", "ymir", "mmseg", "configs", "tools"} <= set(copies())
    for source in copies():
        assert (ROOT / source).exists(), f"COPY {source}: there is no such file"
        assert not ignored(source), f"COPY {source}: .dockerignore keeps it out"
        assert not ignored(f"{source}/folder/file.py"), f"COPY {source}: .dockerignore keeps what is in it out"


@pytest.mark.parametrize(
    "path",
    [".git/HEAD", ".venv/bin/python", ".venv-3.8/x", "tests/test_x.py", "docs/a.md", "demo-out/in/a.jpg", "README.md"]
    + ["ymir/__pycache__/task.cpython-38.pyc", "mmseg/models/x.pyc", ".dockerignore", "Dockerfile"],
)
def test_what_the_image_does_not_need_stays_out_of_the_build(path):
    assert ignored(path)


def test_all_python_packages_that_the_executor_imports_are_copied():
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages >= {"mmseg", "ymir", "tools"}
    assert packages <= set(copies()), "a part of the code is not in the image"


def test_the_platforms_files_are_where_it_looks_for_them():
    assert copies()["ymir/img_man"] == "/img-man"
    assert copies()["tools/start.sh"] == "/usr/bin/start.sh"
    assert copies()["start.py"] == "/app/start.py" and arguments_of("WORKDIR") == ["/app"]
    assert [json.loads(rest) for rest in arguments_of("CMD")] == [["bash", "/usr/bin/start.sh"]]
    assert not arguments_of("ENTRYPOINT"), "the platform gives the command itself"
    for name in ("manifest.yaml", "readme.md", *TEMPLATES):
        assert (ROOT / "ymir" / "img_man" / name).is_file(), name
    object_type = yaml.safe_load((ROOT / "ymir" / "img_man" / "manifest.yaml").read_text())["object_type"]
    assert object_type in (3, [3])


def test_the_image_runs_as_any_user():
    assert not arguments_of("USER")
    commands = " ".join(arguments_of("RUN"))
    assert "chmod -R a+rX /app /img-man" in commands and "chmod a+rx /usr/bin/start.sh" in commands
    assert "apt" not in commands, "the package lists of the default base image are signed with an expired key"


def test_pins_are_installed_but_for_torch_which_stays_the_base_images():
    (install,) = [rest for rest in arguments_of("RUN") if "requirements.txt" in rest]
    assert "grep -v -e '^torch==' -e '^ymir-exc==' requirements.txt > /tmp/requirements.txt" in install
    assert "grep '^ymir-exc==' requirements.txt > /tmp/ymir-exc.txt" in install
    assert "--no-deps --ignore-requires-python --requirement /tmp/ymir-exc.txt" in install
    assert "--constraint /tmp/constraints.txt --requirement /tmp/requirements.txt" in install
    names = [instruction for instruction, _ in instructions()]
    first_copy = arguments_of("COPY")[0]
    assert first_copy.startswith("requirements.txt") and names.index("COPY") < names.index("RUN")

    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.match(r"[\w.-]+==[\w.]+(;|$)", pin) for pin in pins), "a requirement is not pinned"
    assert sum(pin.startswith("ymir-exc==") for pin in pins) == 1
    torch_pins = [pin for pin in pins if pin.startswith("torch")]
    assert torch_pins and all(pin.startswith("torch==") for pin in torch_pins)
    base_torch = re.search(r"pytorch:([\d.]+)-", arguments_of("ARG")[0]).group(1)
    assert f'torch=={base_torch}; python_version < "3.9"' in torch_pins


def start(tmp_path, **environment):
    """Run the start script as the platform does: no HOME, and a current folder that is not the code's."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "PYTHON": sys.executable, **environment}
    command = ["bash", str(ROOT / "tools" / "start.sh")]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert list(folder.iterdir()) == []
    return run, temporary


def test_the_start_script_gives_caches_a_place_in_the_temporary_folder(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "start.py").write_text(
        "import json, os, sys\nprint(json.dumps(dict(os.environ)))\nsys.exit(3)\n"
    )
    run, temporary = start(tmp_path, APP_DIR=str(tmp_path / "app"))
    assert run.returncode == 3, run.stderr
    seen = json.loads(run.stdout)
    for name in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR"):
        assert Path(seen[name]).is_dir() and temporary in Path(seen[name]).parents, name
    assert seen["PYTHONUNBUFFERED"] == "1" and seen["HF_HUB_OFFLINE"] == "1" and seen["PYTHONNOUSERSITE"] == "1"
    assert os.listdir(str(tmp_path / "app")) == ["start.py"], "bytecode was written beside the code"


def test_a_home_folder_that_can_be_written_is_kept(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "start.py").write_text("import os\nprint(os.environ['HOME'])\n")
    run, _ = start(tmp_path, APP_DIR=str(tmp_path / "app"), HOME=str(tmp_path))
    assert run.stdout.strip() == str(tmp_path)


def test_a_cache_folder_that_somebody_else_made_is_not_used(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "start.py").write_text("import os\nprint(os.environ['HOME'])\n")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "elsewhere").mkdir()
    trap = tmp_path / "tmp" / f"ymir-cache-{os.getuid()}"
    trap.symlink_to(tmp_path / "elsewhere")
    run = subprocess.run(
        ["bash", str(ROOT / "tools" / "start.sh")],
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp_path / "tmp"),
            "PYTHON": sys.executable,
            "APP_DIR": str(tmp_path / "app"),
        },
        capture_output=True,
        text=True,
    )
    home = Path(run.stdout.strip())
    assert home.parent == tmp_path / "tmp" and home != trap and not home.is_symlink()
    assert home.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_image_says_what_it_is():
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', arguments_of("LABEL")[0]))
    assert set(labels) == {"title", "description", "version", "revision", "base.name", "licenses"}
    assert f'version = "{labels["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert labels["base.name"] == "${BASE_IMAGE}" and labels["revision"] == "${REVISION}"


def test_the_start_script_runs_the_executor(tmp_path):
    output = tmp_path / "out"
    env = {"task_id": "t1", "run_training": False, "run_mining": False, "run_infer": False}
    env.update(input={"root_dir": str(tmp_path)}, output={"root_dir": str(output)})
    (tmp_path / "env.yaml").write_text(yaml.safe_dump(env))
    run, _ = start(tmp_path, APP_DIR=str(ROOT), DEFAULT_ENV_FILE_PATH=str(tmp_path / "env.yaml"))
    assert run.returncode == 1, run.stderr
    record = (output / "monitor.txt").read_text().splitlines()[0].split("\t")
    assert record[0] == "t1" and record[3] == "4" and record[4] == "300001"


def test_hadolint_finds_nothing():
    program = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("hadolint is not installed")
    run = subprocess.run([program, str(ROOT / "Dockerfile")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout.decode()
