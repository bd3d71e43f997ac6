"""Nothing in a stranger's config file is executed, and no path in it leads outside of its folder."""

import os
import sys
from pathlib import Path

import pytest

from mmseg.apis import init_segmentor
from mmseg.config import Config
from mmseg.errors import ConfigError
from tests.security.hostile_configs import HOSTILE_CONFIGS
from ymir.errors import ReturnCode, return_code_of
from ymir.package import ModelPackage, read_package_config

SECRET = "a line of somebody else's file"


def write_package(folder: Path, text: str, canary: Path) -> Path:
    """A package folder with links that lead out of it; returns its config file."""
    outside = folder.parent / "outside.py"
    outside.write_text(f"secret = {SECRET!r}\n")
    (folder / "folder").mkdir(parents=True)
    (folder / "base_with_exec.py").write_text(f"exec(\"open('{canary}', 'w')\")\n")
    (folder / "link.py").symlink_to(outside)
    (folder / "linked_folder").symlink_to(folder.parent)
    file = folder / "model.py"
    file.write_text(text.format(canary=canary, outside=outside))
    return file


@pytest.mark.parametrize("name", HOSTILE_CONFIGS)
def test_a_hostile_config_is_refused(name, tmp_path):
    package, canary = tmp_path / "package", tmp_path / "canary"
    package.mkdir()
    file = write_package(package, HOSTILE_CONFIGS[name], canary)
    before = sorted(os.listdir(str(package)))
    with pytest.raises(ConfigError) as caught:
        read_package_config(ModelPackage(config_file=file, weights_file=package / "model.pth"))
    assert return_code_of(caught.value) is ReturnCode.CONFIG
    assert str(package) in str(caught.value) and SECRET not in str(caught.value)
    assert not canary.exists() and sorted(os.listdir(str(package))) == before
    assert "tests.security.side_effect" not in sys.modules
    with pytest.raises(ConfigError):
        init_segmentor(
            Config.fromfile(file)
        )  # a file of one's own may have its base anywhere, but it is not run either
    assert not canary.exists()


def test_there_are_as_many_as_there_should_be():
    assert len(HOSTILE_CONFIGS) >= 40


def test_a_package_may_be_links_and_have_bases_beside_it(tmp_path):
    real, package = tmp_path / "real", tmp_path / "package"
    real.mkdir()
    package.mkdir()
    (package / "base.py").write_text("model = dict(type='EncoderDecoder')\n")
    (real / "model.py").write_text("_base_ = './base.py'\n")
    (package / "model.py").symlink_to(real / "model.py")
    cfg = read_package_config(ModelPackage(config_file=package / "model.py", weights_file=package / "model.pth"))
    assert cfg.model.type == "EncoderDecoder"


def test_names_of_files_stay_text(tmp_path):
    """What names files and addresses in a package is data that nobody opens while the package is read."""
    file = tmp_path / "model.py"
    file.write_text(
        "model = dict(type='EncoderDecoder', pretrained='http://192.0.2.1/x.pth')\n"
        "load_from = '/etc/passwd'\nresume_from = '{{ fileDirname }}/../x'\nwork_dir = '/'\n"
        "data = dict(test=dict(type='IndexDataset', index_file='/etc/passwd', data_root='/', ann_file='../../x'))\n"
        "custom_hooks = [dict(type='os.system', command='touch /tmp/x')]\n"
    )
    cfg = read_package_config(ModelPackage(config_file=file, weights_file=tmp_path / "model.pth"))
    assert cfg.load_from == "/etc/passwd" and cfg.data.test.index_file == "/etc/passwd"
    assert cfg.custom_hooks[0].type == "os.system"
