import numpy as np

from eval_fixed_model.records import Augmentation
from eval_fixed_model.rows.augmentation import augmented, boxes, cropped, rolled


def test_rolling_moves_pixels_as_the_draw_says() -> None:
    images = np.random.default_rng(0).integers(0, 256, (25, 3, 8, 8), np.uint8)
    moved = rolled(images, np.arange(25, dtype=np.uint64), 2)
    for draw, (image, after) in enumerate(zip(images, moved, strict=True)):
        down, right = draw % 5, draw // 5
        assert (after == np.roll(image, (2 - down, 2 - right), (1, 2))).all()
    assert (rolled(images, np.arange(25, dtype=np.uint64), 0) == images).all()


def test_crops_are_of_the_area_and_the_shape_that_was_asked() -> None:
    draws = np.random.default_rng(0).integers(0, 1 << 64, 4000, np.uint64)
    left, top, right, bottom = boxes(draws, 0.5).T
    width, height = right - left, bottom - top
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 1
    whole = (width < 1) & (height < 1)
    assert 0.5 <= (width * height)[whole].min() < 0.51
    assert (width / height + 1e-9 >= 0.75).all()
    assert (width / height <= 4 / 3 + 1e-9).all()
    assert abs(left.mean() - (1 - width).mean() / 2) < 0.01


def test_a_crop_is_that_part_of_the_image() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 3, (8, 3, 64, 64)).copy()
    draws = np.random.default_rng(1).integers(0, 1 << 64, 8, np.uint64)
    found = cropped(ramp, draws, 0.4)
    for image, (left, _, right, _) in zip(found, boxes(draws, 0.4), strict=True):
        columns = (left + (np.arange(64) + 0.5) / 64 * (right - left)) * 64 - 0.5
        assert np.abs(image[0, 32, 4:-4].astype(float) - 3 * columns[4:-4]).max() < 2
    assert (augmented(ramp, draws, Augmentation()) == ramp).all()
    assert (augmented(ramp, draws, Augmentation(crop=0.4)) == found).all()
