import functools
import io
import struct

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import sjft_tf.images
from sjft_tf.images import MAX_PIXELS, WindowedImage

in_graph = tf.function(sjft_tf.images.decode, input_signature=[tf.TensorSpec((), tf.string)])
in_dataset = tf.function(functools.partial(sjft_tf.images.decode, in_model=False), [tf.TensorSpec((), tf.string)])


def decode(encoded):
    """The image by ops one by one, which must be that of a saved graph and that of a dataset."""
    image = sjft_tf.images.decode(encoded).numpy()
    np.testing.assert_array_equal(in_graph(encoded), image)
    np.testing.assert_array_equal(in_dataset(encoded), image)
    return image


def exif(number, order="<", before=b"", kind="H"):
    """An EXIF block whose directory holds a few other tags ahead of the orientation, a number of that kind."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = [(0x0100, 40, "H"), (0x0101, 30, "H"), (0x0112, number, kind), (0x0128, 2, "H")]
    directory = b"".join(
        struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[kind], 1) + struct.pack(order + kind, value).ljust(4, b"\0")
        for tag, value, kind in entries
    )
    tiff = magic + struct.pack(order + "I", 8 + len(before)) + before + struct.pack(order + "H", len(entries))
    return b"Exif\0\0" + tiff + directory + struct.pack(order + "I", 0)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def turned_by_pillow(encoded):
    return np.array(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(encoded))).convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"quality": 70, "progressive": True}, {"quality": 95, "subsampling": 0}])
def test_jpeg_equals_pillow_to_the_bit(picture, encode, pillow, mode, options):
    encoded = encode(picture.convert(mode), "JPEG", **options)
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
@pytest.mark.parametrize("image_format", ["PNG", "BMP", "GIF"])
def test_lossless_formats_equal_pillow(picture, encode, pillow, mode, image_format):
    encoded = encode(picture.convert(mode), image_format)
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_a_bitmaps_pixels_lie_behind_header_and_palette_whatever_the_offset(picture, encode, pillow, mode):
    image = picture.convert("RGB").quantize(16) if mode == "P" else picture.convert(mode)
    usual = encode(image, "BMP")
    for offset in (0, 14, 54):
        np.testing.assert_array_equal(decode(usual[:10] + struct.pack("<I", offset) + usual[14:]), pillow(usual))
    start = struct.unpack("<I", usual[10:14])[0]
    moved = usual[:10] + struct.pack("<I", start + 3) + usual[14:start] + b"gap" + usual[start:]
    np.testing.assert_array_equal(decode(moved), pillow(moved))


def test_of_an_animation_the_first_frame_is_taken_even_if_later_ones_are_missing(picture, encode):
    frames = [picture.rotate(turn).quantize(64) for turn in (0, 90, 180)]
    animation = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"c" * 600)
    expected = np.array(frames[0].convert("RGB"))
    np.testing.assert_array_equal(decode(animation), expected)
    np.testing.assert_array_equal(decode(animation[: len(animation) * 2 // 3]), expected)


def test_a_bomb_in_a_later_frame_is_not_looked_at(picture, encode):
    frames = [picture.quantize(64), picture.rotate(90).quantize(64)]
    animation = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    second = animation.rindex(b"\x2c\0\0\0\0")
    animation = animation[: second + 5] + b"\xff" * 4 + animation[second + 9 :]
    np.testing.assert_array_equal(decode(animation), frames[0].convert("RGB"))


@pytest.mark.parametrize("transparent", [None, 5])
@pytest.mark.parametrize("own_palette", [False, True])
@pytest.mark.parametrize(("left", "top"), [(0, 0), (11, 4), (30, 20)])
def test_a_gifs_frame_stands_in_its_place_on_the_canvas(picture, encode, pillow, left, top, transparent, own_palette):
    """The canvas is larger than the frame or reaches less far; around it are the colors that Pillow takes."""
    options = {} if transparent is None else {"transparency": transparent}
    gif = encode(picture.crop((0, 0, 20, 15)).quantize(16), "GIF", **options)
    palette = gif[13:61]
    start = gif.index(b"\x2c\0\0\0\0")
    gif = gif[:6] + struct.pack("<HH", 45, 32) + gif[10:start] + struct.pack("<BHH", 0x2C, left, top) + gif[start + 5 :]
    if own_palette:
        gif = gif[:13] + palette[::-1] + gif[61 : start + 9] + b"\x83" + palette + gif[start + 10 :]
    assert pillow(gif).shape == (max(32, top + 15), max(45, left + 20), 3)
    np.testing.assert_array_equal(in_graph(gif), pillow(gif))


@pytest.mark.parametrize("block", [1, 7, 254])
def test_a_gifs_data_may_come_in_blocks_of_any_length(picture, encode, pillow, block):
    gif = encode(picture.resize((120, 90)), "GIF")
    data = gif.index(b"\x2c\0\0\0\0") + 11
    blocks, position = b"", data
    while gif[position]:
        blocks += gif[position + 1 : position + 1 + gif[position]]
        position += 1 + gif[position]
    cut = b"".join(bytes([len(part)]) + part for part in (blocks[i : i + block] for i in range(0, len(blocks), block)))
    np.testing.assert_array_equal(in_graph(gif[:data] + cut + gif[position:]), pillow(gif))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"lossless": True, "exact": True}, {"quality": 20}])
def test_webp_equals_pillow_to_the_bit(picture, encode, pillow, rng, mode, options):
    image = picture.convert(mode)
    if mode == "RGBA":
        image.putalpha(PIL.Image.fromarray(rng.integers(0, 256, (30, 40), dtype=np.uint8)))
    for encoded in (
        encode(image, "WEBP", **options),
        encode(image, "WEBP", **options, icc_profile=b"a profile makes the header another one"),
    ):
        np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_undone_as_by_pillow(picture, encode, number, order):
    encoded = encode(picture, "JPEG", exif=exif(number, order, before=b"maker"))
    np.testing.assert_array_equal(decode(encoded), turned_by_pillow(encoded))
    np.testing.assert_array_equal(in_graph(encoded), turned_by_pillow(encoded))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["H", "I"])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_every_format_may_hold_exif_and_every_whole_number_an_orientation(picture, encode, image_format, kind, order):
    encoded = encode(picture, image_format, exif=exif(6, order, kind=kind))
    assert turned_by_pillow(encoded).shape == (40, 30, 3)
    np.testing.assert_array_equal(in_graph(encoded), turned_by_pillow(encoded))


def test_exif_is_found_behind_other_segments_and_not_inside_them(picture, encode, pillow):
    plain = encode(picture, "JPEG")
    head, rest = plain[:20], plain[20:]
    profile, turned = segment(0xE2, b"ICC_PROFILE\0" + bytes(3000)), segment(0xE1, exif(6))
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + turned)
    upright = pillow(plain)
    np.testing.assert_array_equal(decode(head + profile + xmp + turned + rest), np.rot90(upright, -1))
    np.testing.assert_array_equal(decode(plain[:2] + turned + plain[2:]), np.rot90(upright, -1))
    np.testing.assert_array_equal(decode(head + profile + xmp + rest), upright)
    comment, filled = segment(0xFE, b"a comment"), b"\xff\xff" + turned
    frame = plain.index(b"\xff\xc0")  # behind the tables
    for inserted in (comment + turned, segment(0xFE, turned) + filled, profile * 300 + turned):
        np.testing.assert_array_equal(decode(plain[:2] + inserted + plain[2:]), np.rot90(upright, -1))
        np.testing.assert_array_equal(decode(plain[:frame] + inserted + plain[frame:]), np.rot90(upright, -1))
    np.testing.assert_array_equal(decode(plain[:2] + segment(0xFE, turned) + plain[2:]), upright)
    np.testing.assert_array_equal(decode(plain[:-2] + turned + plain[-2:]), upright)  # within the scan


def test_exif_of_a_png_may_stand_behind_its_pixels(picture, encode):
    plain, turned = (encode(picture, "PNG", **options) for options in ({}, {"exif": exif(8)}))
    start = turned.index(b"eXIf") - 4
    chunk = turned[start : start + 12 + int.from_bytes(turned[start : start + 4])]
    behind = plain[:-12] + chunk + plain[-12:]
    np.testing.assert_array_equal(decode(behind), turned_by_pillow(behind))
    np.testing.assert_array_equal(decode(behind), np.rot90(picture))


def test_what_stands_before_a_picture_costs_no_more_than_a_bounded_walk(picture, encode, pillow):
    """A million bytes of empty blocks: JPEG is decoded as it is, of a GIF nobody knows where its frame is."""
    plain, gif = encode(picture, "JPEG"), encode(picture, "GIF")
    long = plain[:2] + b"\xff\xe2\0\2" * 250_000 + segment(0xE1, exif(6)) + plain[2:]
    np.testing.assert_array_equal(in_graph(long), pillow(plain))
    head = 13 + 3 * (2 << gif[10] % 8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no frame of the GIF within 4096 blocks"):
        in_graph(gif[:head] + b"\x21\xfe\0" * 300_000 + gif[head:])
    few = gif[:head] + b"\x21\xfe" + (b"\1c\2cc" * 500 + b"\xfa" + b"c" * 250) * 2 + b"\0" + gif[head:]
    np.testing.assert_array_equal(in_graph(few), pillow(gif))


def test_scans_of_a_jpeg_are_bounded_by_their_pixels(picture, encode, pillow):
    def repeated(size, count):
        plain = encode(picture.resize(size), "JPEG", progressive=True)
        last = plain[plain.rindex(b"\xff\xc4", 0, plain.rindex(b"\xff\xda")) : -2]
        return plain[:-2] + last * count + plain[-2:]

    few = repeated((40, 30), 20)
    np.testing.assert_array_equal(in_graph(few), pillow(few))
    for size, count in (((6000, 4000), 40), ((16, 16), 1000)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="too many scans"):
            in_graph(repeated(size, count))


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
    encoded = [encode(image, kind) for image in images for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP")]
    encoded.append(encode(images[0], "JPEG", exif=exif(3)))
    expected = np.stack([*map(pillow, encoded[:-1]), pillow(encoded[0])[::-1, ::-1]])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decode_all(files):
        return tf.map_fn(sjft_tf.images.decode, files, fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8))

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
    "what",
    [
        "JPEG of 65500 x 65500",
        "PNG bomb",
        "BMP of 2^31 rows",
        "GIF with a frame of 65535 x 65535",
        "WebP of 16383 x 16383",
    ],
)
@pytest.mark.parametrize(
    "decode", [sjft_tf.images.decode, in_graph, in_dataset], ids=["one by one", "in graph", "in dataset"]
)
def test_a_bomb_is_refused_for_what_its_header_says(broken, what, decode):
    with pytest.raises(tf.errors.InvalidArgumentError, match="its header says"):
        decode(broken[what])


def test_a_dataset_decodes_every_kind_of_file_side_by_side(picture, encode):
    kinds = [{"format": kind} for kind in ("PNG", "GIF", "BMP", "WEBP")]
    kinds += [{"format": kind, "exif": exif(6)} for kind in ("JPEG", "PNG", "WEBP")]
    files = [encode(picture, options.pop("format"), **options) for options in kinds]
    dataset = tf.data.Dataset.from_tensor_slices(files * 20).map(in_dataset, num_parallel_calls=16)
    for row, image in enumerate(dataset):
        np.testing.assert_array_equal(image, sjft_tf.images.decode(files[row % len(files)]))


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
    files = [encode(picture, kind) for kind in ("PNG", "GIF", "BMP", "WEBP")]
    files += [encode(picture, "JPEG", exif=exif(number)) for number in (1, 3, 6)]
    for encoded in files:
        assert_windows_equal_decode_and_cut(encoded, rng)


def test_windows_are_refused_where_the_whole_is_and_beyond_the_edge(broken, picture, encode):
    for what, encoded in broken.items():
        if "without its end" not in what:  # which a window at the top does not miss
            with pytest.raises(tf.errors.InvalidArgumentError):
                cut_out(encoded, (0, 0, 1, 1))
                pytest.fail(f"decoded: {what}")
    for encoded in (encode(picture, "JPEG"), encode(picture, "PNG")):
        with pytest.raises(tf.errors.InvalidArgumentError):
            cut_out(encoded, (20, 0, 11, 5))
