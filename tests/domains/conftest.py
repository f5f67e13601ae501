"""Pictures and files that the tests of this room draw for themselves."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest


@pytest.fixture
def picture(rng):
    """A smooth RGB picture, 30 rows by 40 columns, unlike each of its mirror images and turns."""
    return PIL.Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((40, 30), PIL.Image.BICUBIC)


@pytest.fixture(scope="session")
def encode():
    """`encode(picture, format, **options) -> bytes`, by Pillow."""

    def encode(image, image_format, **options):
        file = io.BytesIO()
        image.save(file, image_format, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def pillow():
    """`pillow(encoded) -> uint8 [h, w, 3]`, the reference decoder."""
    return lambda encoded: np.array(PIL.Image.open(io.BytesIO(encoded)).convert("RGB"))


@pytest.fixture(scope="session")
def png():
    """`png(width, height, depth, color, rows) -> bytes`: a PNG file written by hand from its raw rows."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def png(width, height, depth, color, rows):
        header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
        body = zlib.compress(rows, 1)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    return png


@pytest.fixture
def broken(picture, encode, png):
    """Files that are no good, by what is wrong with them."""
    jpeg, portable, bitmap, gif = (encode(picture, kind) for kind in ("JPEG", "PNG", "BMP", "GIF"))
    size_in_jpeg = jpeg.index(b"\xff\xc0") + 5
    frame_in_gif = gif.index(b"\x2c\0\0\0\0")
    return {
        "empty": b"",
        "two bytes": jpeg[:2],
        "text": b"these are not the bytes of an image\n" * 9,
        "WebP": encode(picture, "WEBP"),
        "JPEG without its end": jpeg[:-30],
        "JPEG header alone": jpeg[:100],
        "JPEG of 65500 x 65500": jpeg[:size_in_jpeg] + b"\xff\xdc\xff\xdc" + jpeg[size_in_jpeg + 4 :],
        "PNG without its end": portable[:-20],
        "PNG with zeros inside": portable[:-300] + bytes(50) + portable[-250:],
        "PNG bomb": png(10_000, 10_000, 1, 0, bytes(10_000 * 1251)),
        "BMP without its end": bitmap[:-1],
        "BMP of 2^31 rows": bitmap[:22] + b"\0\0\0\x80" + bitmap[26:],
        "BMP of 16 bits": bitmap[:28] + b"\x10\0" + bitmap[30:],
        "GIF header alone": gif[:13],
        "GIF without its end": gif[: len(gif) // 2],
        "GIF with a frame of 65535 x 65535": gif[: frame_in_gif + 5] + b"\xff" * 4 + gif[frame_in_gif + 9 :],
    }
