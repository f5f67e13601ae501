import io
import struct

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sjft_tf.images import MAX_PIXELS, WindowedImage, as_pixels, decode

in_graph = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])


def exif(number, order="<", before=b""):
    """An EXIF block whose directory holds a few other tags ahead of the orientation."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = [(0x0100, 40), (0x0101, 30), (0x0112, number), (0x0128, 2)]
    directory = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    tiff = magic + struct.pack(order + "I", 8 + len(before)) + before + struct.pack(order + "H", len(entries))
    return b"Exif\0\0" + tiff + directory + struct.pack(order + "I", 0)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"quality": 70, "progressive": True}, {"quality": 95, "subsampling": 0}])
def test_jpeg_equals_pillow_to_the_bit(picture, encode, pillow, mode, options):
    encoded = encode(picture.convert(mode), "JPEG", **options)
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))
    np.testing.assert_array_equal(in_graph(encoded), pillow(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
@pytest.mark.parametrize("image_format", ["PNG", "BMP", "GIF"])
def test_lossless_formats_equal_pillow(picture, encode, pillow, mode, image_format):
    encoded = encode(picture.convert(mode), image_format)
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))
    np.testing.assert_array_equal(in_graph(encoded), pillow(encoded))


@pytest.mark.parametrize("colors", [2, 4, 16])
def test_small_palettes_are_unpacked_as_pillow_does(picture, encode, pillow, colors):
    for image_format in ("PNG", "BMP", "GIF"):
        encoded = encode(picture.crop((0, 0, 37, 11)).quantize(colors), image_format)
        np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize(("mode", "image_format"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "BMP")])
def test_alpha_is_dropped_and_the_colors_under_it_stay(picture, encode, rng, mode, image_format):
    image = picture.convert(mode)
    image.putalpha(PIL.Image.fromarray(rng.integers(0, 256, (30, 40), dtype=np.uint8)))
    expected = picture.convert("L").convert("RGB") if mode == "LA" else picture
    np.testing.assert_array_equal(decode(encode(image, image_format)), expected)


def test_transparent_palette_entries_keep_their_color(picture, encode):
    image = picture.quantize(4)
    expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(image, "PNG", transparency=b"\0\x80\xff\x10")), expected)
    np.testing.assert_array_equal(decode(encode(image, "GIF", transparency=0)), expected)


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_of_sixteen_bits_the_upper_eight_are_kept(png, rng, color, channels):
    values = rng.integers(0, 65536, (5, 7, channels))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    colors = values[..., : channels - 1 + channels % 2]
    np.testing.assert_array_equal(decode(png(7, 5, 16, color, rows)), np.broadcast_to(colors >> 8, (5, 7, 3)))


def test_bitmap_stored_top_row_first_equals_the_usual_one(picture, encode):
    usual = encode(picture, "BMP")
    rows = np.frombuffer(usual[54:], np.uint8).reshape(30, -1)[::-1].tobytes()
    np.testing.assert_array_equal(decode(usual[:22] + struct.pack("<i", -30) + usual[26:54] + rows), picture)


def test_of_an_animation_the_first_frame_is_taken_even_if_later_ones_are_missing(picture, encode):
    frames = [picture.rotate(turn).quantize(64) for turn in (0, 90, 180)]
    animation = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"c" * 600)
    expected = np.array(frames[0].convert("RGB"))
    np.testing.assert_array_equal(decode(animation), expected)
    np.testing.assert_array_equal(decode(animation[: len(animation) * 2 // 3]), expected)


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_undone_as_by_pillow(picture, encode, number, order):
    encoded = encode(picture, "JPEG", exif=exif(number, order, before=b"maker"))
    expected = np.array(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(encoded))))
    np.testing.assert_array_equal(decode(encoded), expected)
    np.testing.assert_array_equal(in_graph(encoded), expected)


def test_exif_is_found_behind_other_segments_and_not_inside_them(picture, encode, pillow):
    plain = encode(picture, "JPEG")
    head, rest = plain[:20], plain[20:]
    profile, turned = segment(0xE2, b"ICC_PROFILE\0" + bytes(3000)), segment(0xE1, exif(6))
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + turned)
    upright = pillow(plain)
    np.testing.assert_array_equal(decode(head + profile + xmp + turned + rest), np.rot90(upright, -1))
    np.testing.assert_array_equal(decode(plain[:2] + turned + plain[2:]), np.rot90(upright, -1))
    np.testing.assert_array_equal(decode(head + profile + xmp + rest), upright)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 60), st.integers(0, 60))
def test_nonsense_in_exif_never_costs_the_image(noise, start, length):
    block = exif(8)
    image = PIL.Image.linear_gradient("L").resize((5, 4)).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG")
    plain = file.getvalue()
    spoiled = block[:6] + (block[6:][:start] + noise + block[6:][start + length :])
    decoded = in_graph(plain[:2] + segment(0xE1, spoiled) + plain[2:]).numpy()
    assert decoded.shape in ((4, 5, 3), (5, 4, 3))
    assert sorted(decoded.ravel()) == sorted(in_graph(plain).numpy().ravel())


def test_one_graph_decodes_all_formats_in_a_map_and_from_disk(picture, encode, pillow, tmp_path):
    images = [picture.rotate(turn) for turn in (0, 180)]
    encoded = [encode(image, kind) for image in images for kind in ("JPEG", "PNG", "BMP", "GIF")]
    encoded.append(encode(images[0], "JPEG", exif=exif(3)))
    expected = np.stack([*map(pillow, encoded[:-1]), pillow(encoded[0])[::-1, ::-1]])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decode_all(files):
        return tf.map_fn(decode, files, fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8))

    np.testing.assert_array_equal(decode_all(encoded), expected)
    module = tf.Module()
    module.decode_all = decode_all
    tf.saved_model.save(module, tmp_path)
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path).decode_all(encoded), expected)


def test_broken_files_are_refused(broken):
    for what, encoded in broken.items():
        with pytest.raises(tf.errors.InvalidArgumentError):
            in_graph(encoded)
            pytest.fail(f"decoded: {what}")


@pytest.mark.parametrize(
    "what", ["JPEG of 65500 x 65500", "PNG bomb", "BMP of 2^31 rows", "GIF with a frame of 65535 x 65535"]
)
def test_a_bomb_is_refused_for_what_its_header_says(broken, what):
    with pytest.raises(tf.errors.InvalidArgumentError, match="its header says"):
        decode(broken[what])


def test_the_pixel_limit_is_the_number_that_it_says(png):
    for width, complaint in ((MAX_PIXELS // 8000, "Invalid PNG"), (MAX_PIXELS // 8000 + 1, "its header says")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=complaint):
            decode(png(width, 8000, 1, 0, b"\0"))


@tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((4,), tf.int32)])
def cut_out(encoded, window):
    image = WindowedImage(encoded)
    return image.window(window), image.size


def assert_windows_equal_decode_and_cut(encoded, rng, count=25):
    full = in_graph(encoded).numpy()
    height, width = full.shape[:2]
    for _ in range(count):
        top, left = rng.integers(0, height), rng.integers(0, width)
        rows, columns = rng.integers(1, height - top + 1), rng.integers(1, width - left + 1)
        part, size = cut_out(encoded, (top, left, rows, columns))
        np.testing.assert_array_equal(part, full[top : top + rows, left : left + columns])
        assert size.numpy().tolist() == [height, width]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_window_of_a_jpeg_is_the_same_part_of_the_whole_to_the_bit(rng, encode, mode, subsampling, progressive):
    for height, width in ((37, 51), (48, 32), (3, 2)):
        image = PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)
        encoded = encode(image, "JPEG", subsampling=subsampling, progressive=progressive)
        assert_windows_equal_decode_and_cut(encoded, rng)


@pytest.mark.parametrize(("subsampling", "factors", "height", "width"), [(1, 0x12, 51, 37), (2, 0x41, 24, 128)])
def test_a_window_is_exact_for_rare_ways_to_store_color(picture, encode, rng, subsampling, factors, height, width):
    """4:4:0 and 4:1:1, which Pillow does not write: the blocks of a 4:2:2 or 4:2:0 file, declared otherwise."""
    encoded = bytearray(
        encode(picture.resize((64, 48) if factors == 0x41 else (51, 37)), "JPEG", subsampling=subsampling)
    )
    frame = encoded.index(b"\xff\xc0")
    encoded[frame + 5 : frame + 9], encoded[frame + 11] = struct.pack(">HH", height, width), factors
    assert_windows_equal_decode_and_cut(bytes(encoded), rng, count=100)


def test_a_window_of_other_files_is_the_same_part_of_the_whole(picture, encode, rng):
    files = [encode(picture, kind) for kind in ("PNG", "GIF", "BMP")]
    files += [encode(picture, "JPEG", exif=exif(number)) for number in (1, 3, 6)]
    for encoded in (*files, as_pixels(np.array(picture))):
        assert_windows_equal_decode_and_cut(encoded, rng)


def test_windows_are_refused_where_the_whole_is_and_beyond_the_edge(broken, picture, encode):
    for what, encoded in broken.items():
        if "without its end" not in what:  # which a window at the top does not miss
            with pytest.raises(tf.errors.InvalidArgumentError):
                cut_out(encoded, (0, 0, 1, 1))
                pytest.fail(f"decoded: {what}")
    for encoded in (encode(picture, "JPEG"), encode(picture, "PNG"), as_pixels(np.array(picture))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            cut_out(encoded, (20, 0, 11, 5))


def test_pixels_kept_as_they_are_come_back_and_nonsense_is_refused(picture):
    image = np.array(picture)
    encoded = as_pixels(image)
    np.testing.assert_array_equal(decode(encoded), image)
    sizes = [
        struct.pack("<ii", *size) for size in ((-30, -40), (0, 0), (30, 41), (2**31 - 1, 2**31 - 1), (65536, 65536))
    ]
    for bad in (encoded[:-1], encoded + b"\0", encoded[:12], *(encoded[:8] + size + encoded[16:] for size in sizes)):
        for call in (lambda bad=bad: in_graph(bad), lambda bad=bad: cut_out(bad, (0, 0, 1, 1))):
            with pytest.raises(tf.errors.InvalidArgumentError):
                call()
