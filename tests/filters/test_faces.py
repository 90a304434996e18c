"""Blurred faces: only where they are, in the image's own format, and nothing that shows them otherwise."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from filters._faces import blurred

BOX = [0.25, 0.3, 0.5, 0.6]


def noise(height=120, width=160, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels) if channels > 1 else (height, width), np.uint8)


def encode(pixels, kind="PNG", mode=None, **options):
    held = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(held, kind, **options)
    return held.getvalue()


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def whole(pixels, boxes):
    """The published formula, over the whole image at once."""
    height, width = pixels.shape[:2]
    mask, longest = np.zeros(pixels.shape, float), 0
    places = [[int(x * n) for x, n in zip(box, (width, height, width, height), strict=True)] for box in boxes]
    for left, top, right, bottom in places:
        side = max(right - left, bottom - top)
        longest = max(longest, side)
        rows = slice(max(0, int(top - 0.1 * side)), int(np.ceil(bottom + 0.1 * side)))
        mask[rows, max(0, int(left - 0.1 * side)) : int(np.ceil(right + 0.1 * side))] = 1
    radius = int(np.ceil(0.4 * longest))
    smooth, weight = (gaussian_filter(each, 0.1 * longest, axes=(0, 1), radius=radius, mode="mirror") for each in (pixels / 1.0, mask))
    return pixels * (1 - weight) + smooth * weight


@pytest.mark.parametrize("boxes", [[BOX], [BOX, [0.6, 0.1, 0.7, 0.2]], [[0.0, 0.0, 0.2, 0.2], [0.9, 0.8, 1.0, 1.0]], [[0, 0, 1, 1]]])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_are_those_of_the_published_formula(boxes, channels):
    before = noise(channels=channels)
    data, code = blurred(encode(before), boxes)
    assert code is None
    assert np.abs(pixels_of(data) - whole(before, boxes)).max() <= 0.51


def test_the_rest_of_the_image_is_untouched_and_the_box_is_smooth():
    before = noise(400, 500)
    data, _ = blurred(encode(before), [[0.4, 0.4, 0.5, 0.5]])
    after = pixels_of(data)
    changed = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert 130 < changed.min() < 160 < 200 < changed.max() < 240
    assert after[165:195, 205:245].std() < 10 < 60 < before[165:195, 205:245].std()


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        *[
            ("JPEG", None, {"quality": 95}),
            ("JPEG", "L", {}),
            ("JPEG", "CMYK", {}),
            ("WEBP", None, {}),
            ("WEBP", "RGBA", {"lossless": True}),
        ],
        *[
            ("GIF", "P", {}),
            ("PNG", "P", {}),
            ("PNG", "1", {}),
            ("PNG", "LA", {}),
            ("BMP", None, {}),
            ("TIFF", None, {}),
            ("AVIF", None, {}),
        ],
    ],
)
def test_an_image_stays_what_it_is(kind, mode, options):
    grey = np.full((120, 160, 3), 128, np.uint8)
    grey[40:70, 45:75] = noise(30, 30)
    data = encode(grey, kind, mode, **options)
    changed, code = blurred(data, [BOX])
    assert code is None
    image = Image.open(io.BytesIO(changed))
    assert (image.format, image.size) == (kind, (160, 120))
    before, after = (np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), float) for each in (data, changed))
    assert after[45:65, 50:70].std() < 0.5 * before[45:65, 50:70].std()
    assert np.abs(after[:20] - before[:20]).max() <= 4


def test_orientation_and_profile_stay_and_previews_go():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a name"
    thumbnail = encode(noise(60, 80), "JPEG")
    block = exif.tobytes() + thumbnail
    data = encode(noise(), "JPEG", exif=block, icc_profile=b"profile of some kind")
    assert thumbnail[:20] in data
    changed, _ = blurred(data, [BOX])
    image = Image.open(io.BytesIO(changed))
    assert dict(image.getexif()) == {0x0112: 6}
    assert image.info["icc_profile"] == b"profile of some kind"
    assert thumbnail[:200] not in changed
    assert b"a name" not in changed


def frames(kind):
    held = io.BytesIO()
    images = [Image.fromarray(noise(seed=n)) for n in range(3)]
    images[0].save(held, kind, save_all=True, append_images=images[1:])
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "boxes", "code"),
    [
        (encode(noise()), [[10, 20, 60, 80]], "bad_boxes"),
        (encode(noise()), [[0.5, 0.5, 0.4, 0.6]], "bad_boxes"),
        (b"<svg/>", [BOX], "broken_image"),
        (b"", [BOX], "broken_image"),
        (encode(noise(), "JPEG")[:900], [BOX], "broken_image"),
        (frames("GIF"), [BOX], "animated"),
        (frames("WEBP"), [BOX], "animated"),
        (frames("TIFF"), [BOX], "animated"),
        (encode(noise(channels=1).astype(np.uint16) * 257), [BOX], "unknown_mode"),
    ],
)
def test_what_cannot_be_blurred_does_not_leave(data, boxes, code):
    assert blurred(data, boxes) == (None, code)


@pytest.mark.parametrize(
    "box", [[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [-0.1, -0.1, 0.1, 0.1], [0.9, 0.9, 1.2, 1.3]]
)
def test_boxes_at_and_over_edges(box):
    before = noise()
    data, code = blurred(encode(before), [box])
    assert code is None
    assert pixels_of(data).shape == before.shape


def test_a_picture_of_several_leaves_as_its_first():
    held = io.BytesIO()
    images = [Image.fromarray(noise(seed=n)) for n in range(2)]
    images[0].save(held, "MPO", save_all=True, append_images=images[1:])
    changed, code = blurred(held.getvalue(), [BOX])
    assert (code, Image.open(io.BytesIO(changed)).format) == (None, "JPEG")


def test_equal_images_leave_equal():
    data = encode(noise(), "JPEG")
    assert blurred(data, [BOX]) == blurred(data, [BOX])
