import functools
import hashlib
import http.server
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg.apis import init_segmentor
from mmseg.config import Config
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.engine.download import download, published_hash
from mmseg.engine.initial_weights import load_pretrained_parts
from mmseg.engine.weights_source import WeightsAddress, WeightsSource, pretrained_addresses
from mmseg.errors import CheckpointError
from tests.engine.tiny import make_model, model_cfg

ROOT = Path(__file__).resolve().parents[2]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; those called `cut…` break off in the middle."""

    def do_GET(self):
        self.server.asked.append(self.path)
        content = Path(self.translate_path(self.path))
        if not content.name.startswith("cut"):
            return super().do_GET()
        data = content.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])

    def log_message(self, *_):
        pass


@pytest.fixture()
def server(tmp_path, monkeypatch):
    """A web server on this machine; `.folder` is what it serves, `.url` its address, `.asked` what was asked for."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    serving.folder, serving.asked = folder, []
    serving.url = f"http://127.0.0.1:{serving.server_address[1]}"
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def touch(path, data=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def publish(folder, stem, data):
    """A file as it is published: the start of its SHA-256 at the end of its name."""
    return touch(folder / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.pth", data)


# --- what an address means ---


@pytest.mark.parametrize(
    ("text", "file_name", "host"),
    [
        ("open-mmlab://resnet18_v1c", "resnet18_v1c-b5776b93.pth", "download.openmmlab.com"),
        ("open-mmlab://resnet50_v1c", "resnet50_v1c-2cccc1ad.pth", "download.openmmlab.com"),
        ("open-mmlab://resnet101_v1c", "resnet101_v1c-e67eebb6.pth", "download.openmmlab.com"),
        ("open-mmlab://msra/hrnetv2_w18_small", "hrnetv2_w18_small-b5a04e21.pth", "download.openmmlab.com"),
        ("open-mmlab://msra/hrnetv2_w18", "hrnetv2_w18-00eb2006.pth", "download.openmmlab.com"),
        ("open-mmlab://msra/hrnetv2_w48", "hrnetv2_w48-d2186c55.pth", "download.openmmlab.com"),
        ("open-mmlab://contrib/mobilenet_v3_large", "mobilenet_v3_large-bc2c3fd3.pth", "download.openmmlab.com"),
        ("open-mmlab://contrib/mobilenet_v3_small", "mobilenet_v3_small-47085aa1.pth", "download.openmmlab.com"),
        ("open-mmlab://resnext101_32x4d", "resnext101_32x4d-a5af3160.pth", "download.openmmlab.com"),
        (
            "mmcls://mobilenet_v2",
            "mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth",
            "download.openmmlab.com",
        ),
        ("torchvision://resnet18", "resnet18-f37072fd.pth", "download.pytorch.org"),
        ("torchvision://resnet50", "resnet50-0676ba61.pth", "download.pytorch.org"),
        ("torchvision://resnet101", "resnet101-63fe2227.pth", "download.pytorch.org"),
        ("modelzoo://resnet101", "resnet101-63fe2227.pth", "download.pytorch.org"),
        ("pretrain/mit_b0.pth", "mit_b0.pth", "download.openmmlab.com"),
        ("https://a.example/x/mit%20b0-7e0fe6dd.pth?raw=1", "mit b0-7e0fe6dd.pth", "a.example"),
        ("open-mmlab://something/else", "else.pth", None),
        ("/some/where.pth", "where.pth", None),
    ],
)
def test_addresses(text, file_name, host):
    address = WeightsAddress.parse(text)
    assert address.file_name == file_name
    assert (address.url or "").split("/")[2:3] == ([host] if host else [])
    assert address.prefix == ("backbone." if text.startswith("mmcls") else "")


@pytest.mark.parametrize("text", ["", "https://a.example", "https://a.example/", "open-mmlab://", "..", "http://a/.."])
def test_an_address_of_nothing(text):
    with pytest.raises(CheckpointError, match="names no file of weights"):
        WeightsAddress.parse(text)


@given(st.text(max_size=40), st.sampled_from(["", "open-mmlab://", "mmcls://", "http://h/", "HTTPS://h/", "s3://"]))
def test_any_text_is_an_address_or_refused(text, start):
    try:
        address = WeightsAddress.parse(start + text)
    except (CheckpointError, ValueError):  # ValueError: not even urlsplit knows what that is
        return
    assert address.file_name == Path(address.file_name).name


def test_the_hash_in_a_name():
    assert published_hash("resnet50_v1c-2cccc1ad.pth") == "2cccc1ad"
    assert published_hash("vgg13-19584684.pth") == "19584684"
    assert published_hash("model-20220624.pth") is None
    assert published_hash("model.pth") is None


def test_the_addresses_of_a_config():
    model = dict(
        pretrained="open-mmlab://resnet50_v1c",
        backbone=dict(type="A", init_cfg=dict(type="Pretrained", checkpoint="a.pth"), pretrained=None),
        auxiliary_head=[dict(backbone_cfg=dict(init_cfg=[dict(type="Pretrained", checkpoint="b.pth")]))],
        neck=dict(init_cfg=dict(type="Normal", std=0.01)),
    )
    assert pretrained_addresses(model) == ["open-mmlab://resnet50_v1c", "a.pth", "b.pth"]


# --- folders ---


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("open-mmlab://resnet50_v1c", "resnet50_v1c-2cccc1ad.pth"),
        ("open-mmlab://resnet50_v1c", "deep/er/resnet50_v1c.pth"),
        ("open-mmlab://msra/hrnetv2_w18", "hrnetv2_w18.pth"),
        ("mmcls://mobilenet_v2", "mobilenet_v2.pth"),
        ("mmcls://mobilenet_v2", "mobilenet_v2_batch256_imagenet.pth"),
        ("pretrain/mit_b0.pth", "mit_b0.pth"),
        ("pretrain/mit_b0.pth", "mit_b0_20220624-7e0fe6dd.pth"),
        ("https://a.example/mit_b0_20220624-7e0fe6dd.pth", "mit_b0.pth"),
        ("nothing://known", "known.pt"),
        ("/gone/away.pth", "away.pth"),
    ],
)
def test_a_file_in_the_folder(tmp_path, text, name):
    expected = touch(tmp_path / "weights" / name)
    touch(tmp_path / "weights/other.pth")
    source = WeightsSource((tmp_path / "missing", tmp_path / "weights"), download=True)
    assert source.find_local(text) == source.find(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("open-mmlab://resnet50_v1c", "resnet50.pth"),
        ("torchvision://resnet50", "resnet50-19c8e357.pth"),
        ("open-mmlab://msra/hrnetv2_w18", "hrnetv2_w18_small-b5a04e21.pth"),
        ("pretrain/mit_b0.pth", "mit_b0.py"),
        ("pretrain/mit_b0.pth", "mit_b0_finetuned.pth"),
    ],
)
def test_another_file_is_not_taken(tmp_path, text, name):
    touch(tmp_path / name)
    assert WeightsSource((tmp_path,)).find_local(text) is None


def test_the_published_name_comes_first(tmp_path):
    touch(tmp_path / "a/resnet50_v1c.pth")
    touch(tmp_path / "b/c/resnet50_v1c-2cccc1ad.pth")
    expected = touch(tmp_path / "d/resnet50_v1c-2cccc1ad.pth")
    assert WeightsSource((tmp_path,)).find_local("open-mmlab://resnet50_v1c") == expected


def test_a_path_that_is_a_file_is_taken_as_it_is(tmp_path):
    path = touch(tmp_path / "own.pth")
    touch(tmp_path / "weights/own.pth")
    assert WeightsSource((tmp_path / "weights",)).find(str(path)) == path


def test_what_to_put_where(tmp_path):
    with pytest.raises(CheckpointError) as raised:
        WeightsSource((tmp_path / "weights",)).find("open-mmlab://resnet50_v1c")
    assert str(raised.value) == (
        "the weights open-mmlab://resnet50_v1c are not here: put the file resnet50_v1c-2cccc1ad.pth "
        "(https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth) into the folder "
        f"{tmp_path / 'weights'}"
    )
    with pytest.raises(CheckpointError, match="put the file unknown.pth into the folder of pre-trained weights"):
        WeightsSource(download=True).find("open-mmlab://unknown")


# --- downloads ---


def test_a_download_is_checked_and_kept(tmp_path, server, caplog):
    data = os.urandom(3_000_000)
    name = publish(server.folder, "net", data).name
    source = WeightsSource((tmp_path / "weights",), download=True)
    with caplog.at_level(logging.INFO, "mmseg"):
        path = source.find(f"{server.url}/{name}")
    assert path == tmp_path / "torch/hub/checkpoints" / name
    assert path.read_bytes() == data
    assert f"downloading {server.url}/{name} (3.0 MB)" in caplog.text and "downloaded 100%" in caplog.text
    assert [p.name for p in path.parent.iterdir()] == [name]
    # Found again, also where downloads are not allowed, and without asking the server.
    assert source.find(f"{server.url}/{name}") == WeightsSource().find(f"{server.url}/{name}") == path
    assert len(server.asked) == 1
    # But not when it was damaged.
    path.write_bytes(data[:-1])
    assert WeightsSource().find_local(f"{server.url}/{name}") is None
    assert source.find(f"{server.url}/{name}").read_bytes() == data


def test_a_file_without_a_hash_is_downloaded(tmp_path, server):
    touch(server.folder / "plain.pth", b"abc")
    path = WeightsSource(download=True, cache_dir=tmp_path / "cache").find(f"{server.url}/plain.pth")
    assert path == tmp_path / "cache/plain.pth" and path.read_bytes() == b"abc"


def refused_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net-00000000.pth", "gave a file whose SHA-256 begins with [0-9a-f]{8}, expected 00000000"),
        ("cut.pth", "ended after 50000 of 100000 bytes"),
        ("absent.pth", "cannot be downloaded .HTTP status 404 "),
        ("refused/net.pth", "cannot be downloaded .*refused"),
    ],
)
def test_a_download_that_fails_leaves_nothing(tmp_path, server, name, message):
    for served in ("net-00000000.pth", "cut.pth"):
        touch(server.folder / served, bytes(100_000))
    base = refused_url() if name.startswith("refused") else server.url
    with pytest.raises(CheckpointError, match=message) as raised:
        WeightsSource((tmp_path / "weights",), download=True, cache_dir=tmp_path / "cache").find(f"{base}/{name}")
    assert f"{base}/{name}" in str(raised.value)
    assert f"put the file {Path(name).name}" in str(raised.value) and str(tmp_path / "weights") in str(raised.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_only_web_addresses_are_fetched(tmp_path):
    secret = touch(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="only http and https"):
        download(secret.as_uri(), tmp_path / "copy")
    with pytest.raises(CheckpointError, match="not here"):
        WeightsSource(download=True).find(f"file://{secret}")
    assert not (tmp_path / "copy").exists()


def test_a_cache_that_cannot_be_written_is_replaced(tmp_path, server):
    touch(server.folder / "plain.pth", b"abc")
    occupied = touch(tmp_path / "file")
    path = WeightsSource(download=True, cache_dir=occupied / "cache").find(f"{server.url}/plain.pth")
    assert path.read_bytes() == b"abc"
    path.unlink()
    path.parent.rmdir()


# --- into a model ---


def backbone_of(model, checkpoint, prefix=None):
    model.backbone.init_cfg = dict(type="Pretrained", checkpoint=checkpoint, prefix=prefix)
    return model


def test_parts_from_the_folder(tmp_path):
    source, model = make_model(seed=1), make_model(seed=2)
    (tmp_path / "weights").mkdir()
    save_checkpoint(tmp_path / "weights/resnet50_v1c-2cccc1ad.pth", model=source.backbone, meta={})
    places = WeightsSource((tmp_path / "weights",))
    ((name, report),) = load_pretrained_parts(backbone_of(model, "open-mmlab://resnet50_v1c"), places)
    assert name == "backbone" and report.complete
    assert torch.equal(model.backbone.conv2.weight, source.backbone.conv2.weight)


@pytest.mark.parametrize("whole", [True, False])
def test_files_of_classifiers(tmp_path, whole):
    source, model = make_model(seed=1), make_model(seed=2)
    save_checkpoint(tmp_path / "mobilenet_v2.pth", model=source if whole else source.backbone, meta={})
    load_pretrained_parts(backbone_of(model, "mmcls://mobilenet_v2"), WeightsSource((tmp_path,)))
    assert torch.equal(model.backbone.conv2.weight, source.backbone.conv2.weight)
    assert not torch.equal(model.decode_head.conv_seg.weight, source.decode_head.conv_seg.weight)


def test_parts_by_download(tmp_path, server):
    source, model = make_model(seed=1), make_model(seed=2)
    save_checkpoint(tmp_path / "w.pth", model=source, meta={})
    name = publish(server.folder, "net", (tmp_path / "w.pth").read_bytes()).name
    load_pretrained_parts(backbone_of(model, f"{server.url}/{name}", "backbone."), WeightsSource(download=True))
    assert torch.equal(model.backbone.conv2.weight, source.backbone.conv2.weight)


def test_a_failing_download_is_an_error_where_one_was_asked_for(server):
    model = backbone_of(make_model(), f"{server.url}/absent.pth")
    with pytest.raises(CheckpointError, match="404"):
        load_pretrained_parts(model, WeightsSource(download=True))
    assert load_pretrained_parts(model) == []
    assert server.asked == ["/absent.pth"]


def test_a_part_that_names_nothing_begins_at_random():
    assert load_pretrained_parts(backbone_of(make_model(), None), WeightsSource(download=True)) == []


def test_inference_looks_at_no_address_of_a_config(tmp_path, server):
    touch(server.folder / "w.pth")
    trap = tmp_path / "trap.pth"
    os.mkfifo(str(trap))  # whoever opens it waits for ever
    cfg = model_cfg()
    cfg["pretrained"] = str(trap)
    cfg["decode_head"]["init_cfg"] = dict(type="Pretrained", checkpoint=f"{server.url}/w.pth")
    source = make_model(seed=3)
    save_checkpoint(tmp_path / "w.pth", model=source, meta={})
    model = init_segmentor(Config(dict(model=cfg)), tmp_path / "w.pth")
    assert server.asked == []
    assert torch.equal(model.backbone.conv2.weight, source.backbone.conv2.weight)


TWO_PROCESSES = """
import sys, torch, torch.distributed as dist
from mmseg.engine.initial_weights import load_pretrained_parts
from mmseg.engine.weights_source import WeightsSource
from tests.engine.tiny import make_model
rank, store, good, bad, out = int(sys.argv[1]), *sys.argv[2:]
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
model = make_model(seed=rank)
for url in (good, bad):
    model.backbone.init_cfg = dict(type="Pretrained", checkpoint=url, prefix="backbone.")
    try:
        load_pretrained_parts(model, WeightsSource(download=True))
        torch.save(model.backbone.conv2.weight, out + str(rank))
    except Exception as error:
        print(error)
dist.barrier()
"""


def test_two_processes_download_once(tmp_path, server):
    source = make_model(seed=5)
    save_checkpoint(tmp_path / "w.pth", model=source, meta={})
    name = publish(server.folder, "net", (tmp_path / "w.pth").read_bytes()).name
    places = [str(tmp_path / "store"), f"{server.url}/{name}", f"{server.url}/absent.pth", str(tmp_path / "out")]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_PROCESSES, str(rank), *places],
            cwd=str(ROOT),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert server.asked.count(f"/{name}") == 1
    for rank in range(2):
        assert torch.equal(torch.load(str(tmp_path / f"out{rank}")), source.backbone.conv2.weight)
    # Where the first process fails, the others do not wait for it for ever.
    assert all("404" in output for output in outputs)
