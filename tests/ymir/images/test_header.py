"""The header says what decoding gives, and what cannot be decoded is refused by it."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from mmseg.datasets import read_image
from mmseg.datasets.image_files import MAX_SIDE
from mmseg.datasets.pillow_files import open_picture
from mmseg.errors import ImageError
from tests.ymir.task_files import write_image
from ymir.images.header import image_shape
from ymir.prediction.bad_images import BadImage

PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8), (5, 5), 0)


def encoded(kind, picture=None, **options):
    stream = io.BytesIO()
    (picture or Image.fromarray(PIXELS)).save(stream, kind, **options)
    return stream.getvalue()


def turned(kind, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(kind, exif=exif, **options)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)


def declared_png(width, height):
    """A few bytes that claim to be a picture of any size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def frames(kind):
    others = [Image.fromarray(255 - PIXELS)]
    return encoded(kind, save_all=True, append_images=others)


READABLE = {
    "jpeg": encoded("JPEG"),
    "progressive.jpg": encoded("JPEG", progressive=True),
    "cmyk.jpg": encoded("JPEG", Image.fromarray(PIXELS).convert("CMYK")),
    "grey.jpg": encoded("JPEG", Image.fromarray(PIXELS).convert("L")),
    "trailer.jpg": encoded("JPEG") + b"appended by a camera" * 200,
    "png": encoded("PNG"),
    "trailer.png": encoded("PNG") + b"appended" * 20,
    "palette.png": encoded("PNG", Image.fromarray(PIXELS).convert("P")),
    "alpha.png": encoded("PNG", Image.fromarray(PIXELS).convert("RGBA")),
    "grey-alpha.png": encoded("PNG", Image.fromarray(PIXELS).convert("LA")),
    "16-bit.png": cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
    "bilevel.png": encoded("PNG", Image.fromarray(PIXELS).convert("1")),
    "bmp": encoded("BMP"),
    "animated.gif": frames("GIF"),
    "animated.webp": frames("WEBP"),
    "lossless.webp": encoded("WEBP", lossless=True),
    "lossy.webp": encoded("WEBP"),
    "pages.tif": frames("TIFF"),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "ppm": encoded("PPM"),
    "jp2": encoded("JPEG2000"),
    "1x1.png": encoded("PNG", Image.new("RGB", (1, 1))),
    "1x1.jpg": encoded("JPEG", Image.new("RGB", (1, 1))),
    "wide.png": encoded("PNG", Image.new("RGB", (30000, 3))),
    "wide.jpg": encoded("JPEG", Image.new("RGB", (30000, 3))),
    "png that is called.jpg": encoded("PNG"),
    "no-extension": encoded("JPEG"),
    "街景 一 🚗.jpg": encoded("JPEG"),
    " with\nnewline.jpg": encoded("JPEG"),
}


@pytest.mark.parametrize("name", READABLE)
def test_the_shape_is_that_of_the_decoded_image(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(READABLE[name])
    image = read_image(str(path))
    assert image.dtype == np.uint8
    assert image_shape(path) == image.shape[:2]


@pytest.mark.parametrize(
    "name",
    ["jpeg", "progressive.jpg", "cmyk.jpg", "alpha.png", "16-bit.png", "bmp", "lossless.webp", "lzw.tif"]
    + ["animated.gif", "animated.webp", "pages.tif", "jp2"],
)
def test_the_colours_are_those_of_the_first_picture(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(READABLE[name])
    expected = PIXELS if name == "16-bit.png" else PIXELS[:, :, ::-1]  # that one was written by OpenCV
    assert np.abs(read_image(str(path)).astype(int) - expected).mean() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]
)
def test_the_orientation_is_applied_where_the_decoder_applies_it(tmp_path, kind, options, orientation):
    path = tmp_path / "image"
    path.write_bytes(turned(kind, orientation, **options))
    assert image_shape(path) == read_image(str(path)).shape[:2]
    assert sorted(image_shape(path)) == [40, 60]


def test_damaged_exif_data_leave_an_image_upright(tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded("JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"))
    assert image_shape(path) == read_image(str(path)).shape[:2] == (40, 60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_no_truncated_image_is_decoded(tmp_path, kind, kept):
    data = encoded(kind)
    path = tmp_path / "image"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match="truncated"):
        read_image(str(path))


def large(kind, **options):
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    thumbnail = b"Exif\x00\x00" + b"\xff\xd9" * 20  # looks like the end of an image, as that of a thumbnail does
    return encoded(kind, Image.fromarray(pixels), **({"exif": thumbnail} if kind == "JPEG" else {}), **options)


@pytest.mark.parametrize("missing", [1, 2, 13, 500, 2000])
@pytest.mark.parametrize("data", [large("JPEG"), large("JPEG", progressive=True), large("PNG")])
def test_the_header_reader_sees_that_a_jpeg_or_png_is_cut_short(tmp_path, data, missing):
    path = tmp_path / "image"
    path.write_bytes(data)
    assert image_shape(path) == (64, 64)
    if missing == 1 and data[1:4] == b"PNG":
        missing = 13  # A checksum that lacks its last byte is the decoder's business.
    path.write_bytes(data[:-missing])
    for read in (image_shape, lambda path: read_image(str(path))):
        with pytest.raises(ImageError, match="truncated"):
            read(path)


def test_a_png_of_many_pixels_is_not_decoded_for_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(declared_png(15000, 15000))  # beyond Pillow's own limit, and there are no such pixels in the file
    assert image_shape(path) == (15000, 15000)
    assert image_shape(path, max_pixels=15000**2) == (15000, 15000)
    with pytest.raises(ImageError, match=r"15000 wide and 15000 high.*max_image_pixels allows 224999999"):
        image_shape(path, max_pixels=15000**2 - 1)


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (60000, 60000, "60000 wide and 60000 high, but at most 1073741824 pixels are decoded"),
        (MAX_SIDE + 1, 1, "at most 1048576 pixels on a side"),
        (1, MAX_SIDE + 1, "at most 1048576 pixels on a side"),
    ],
)
@pytest.mark.parametrize("backend", ["header", "cv2", "pillow"])
def test_what_is_too_large_for_the_decoder_is_said_by_its_size(tmp_path, backend, width, height, message):
    path = tmp_path / "bomb.png"
    path.write_bytes(declared_png(width, height))
    with pytest.raises(ImageError, match=message):
        image_shape(path) if backend == "header" else read_image(str(path), backend=backend)


HEADERS = [READABLE[name] for name in ("jpeg", "png", "lossy.webp", "animated.webp", "lzw.tif", "animated.gif", "bmp")]


@settings(max_examples=400)
@given(st.sampled_from(HEADERS), st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6), st.data())
def test_any_damaged_header_is_a_size_or_an_image_error(data, changes, choose):
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position] = value
    with tempfile.NamedTemporaryFile() as file:
        file.write(damaged[: choose.draw(st.integers(1, len(damaged)))])
        file.flush()
        try:
            height, width = image_shape(file.name)
        except ImageError as error:
            assert file.name in str(error)
        else:
            assert height > 0 and width > 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to(path.parent / "gone.jpg"), "No such file"),
        (lambda path: path.symlink_to(path), "Too many levels"),
        (lambda path: path.write_text("<html>not found</html>"), "unknown format"),
        (lambda path: path.write_bytes(encoded("ICO")), "unknown format"),
        (lambda path: path.write_bytes(b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), "cannot be read"),
        (lambda path: path.write_bytes(b"RIFF\x00\x00\x00\x00WEBP"), "damaged or truncated"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, spoil, reason):
    path = tmp_path / "坏 image.jpg"
    spoil(path)
    for read in (image_shape, lambda path: read_image(str(path))):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=reason):
        image_shape(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_without_permission_is_named(tmp_path):
    path = write_image(tmp_path / "image.jpg")
    path.chmod(0)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    # Its bytes are not read by the child, so a path of its own interpreter suffices for the imports.
    code = (
        "import os, sys; from pathlib import Path; from ymir.images.header import image_shape; "
        "from mmseg.errors import ImageError; os.setuid(65534)\n"
        "try:\n    image_shape(Path(sys.argv[1]))\nexcept ImageError as error:\n    print(error)"
    )
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, stdout=subprocess.PIPE, check=True)
    assert f"the image {path} cannot be read: Permission denied" in done.stdout.decode()


@pytest.mark.parametrize("data", [b"", b"\xff", b"\0\0", b"BM\0", b"\0\0\1"])
def test_a_file_of_a_few_bytes_is_no_picture(tmp_path, data):
    # Fewer than some formats look at to know themselves.
    with pytest.raises(UnidentifiedImageError):
        open_picture(io.BytesIO(data))
    path = tmp_path / "few.jpg"
    path.write_bytes(data)
    assert BadImage.of(str(path), ValueError("few"))[1:] == (0, 0)
