"""What belongs together is compared by the right divergence; the rest is refused in one line that names the value."""

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval import ExactSearch, HistogramMeasure, SquaredDistance, measure_for, search_exact


def search(targets, sources, weights):
    return search_exact(targets, sources, weights, depth=2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([1, 0, 1], r"^the weight of channel 1 is 0.0; it must be from 1e-20 to 1e\+20$"),
        ([1, 1, -0.5], r"^the weight of channel 2 is -0.5;"),
        ([float("nan"), 1, 1], r"^the weight of channel 0 is nan;"),
        ([1, float("inf"), 1], r"^the weight of channel 1 is inf;"),
        ([1, 1], r"^channel weights have shape \(2,\); there are 3 channels$"),
        ([[1, 1, 1]], r"^channel weights have shape \(1, 3\);"),
    ],
)
def test_weights_that_cannot_be_are_refused(rng, draw, wrong, message):
    with pytest.raises(InputError, match=message):
        search(draw(rng, 3), draw(rng, 5), wrong)


@pytest.mark.parametrize("wrong", [np.s_[:, :2], np.s_[:, :, :5], np.s_[:, 0], np.s_[:, :, :, None]])
def test_sources_of_another_shape_are_refused(rng, draw, weights, wrong):
    targets, sources = draw(rng, 3), draw(rng, 5)[wrong]
    with pytest.raises(InputError) as refusal:
        search(targets, sources, weights)
    assert f"source descriptors have shape {sources.shape} and target descriptors (3, 3, 6)" in str(refusal.value)


@pytest.mark.parametrize("wrong", [np.float32, bool, object])
def test_descriptors_that_are_no_integers_are_refused(rng, draw, weights, wrong):
    targets, sources = draw(rng, 3), draw(rng, 5)
    kind = np.dtype(wrong).name
    with pytest.raises(InputError, match=rf"^target descriptors are {kind} \(3, 3, 6\); expected uint16"):
        search(targets.astype(wrong), sources, weights)
    with pytest.raises(InputError, match=rf"^source descriptors are {kind} \(5, 3, 6\); expected uint16"):
        search(targets, sources.astype(wrong), weights)


@pytest.mark.parametrize("shape", [(0, 3, 6), (3, 0, 6), (3, 3, 0), (3, 18)])
def test_targets_that_are_no_descriptors_are_refused(rng, draw, weights, shape):
    with pytest.raises(InputError, match="^target descriptors are uint16 .* expected uint16") as refusal:
        search(np.ones(shape, np.uint16), draw(rng, 5), weights)
    assert str(shape) in str(refusal.value)


def test_maps_of_another_size_are_refused(rng, draw, weights):
    targets, sources = draw(rng, 3, pixels=(196, 49, 100)), draw(rng, 5, pixels=(196, 64, 100))
    with pytest.raises(
        InputError, match="^source image 0 has 64 counts in channel 1 and the first target image has 49; describe all"
    ):
        search(targets, sources, weights)


@pytest.mark.parametrize("side", ["target", "source"])
def test_images_of_one_side_described_at_two_sizes_are_refused(rng, draw, weights, side):
    # more images than are looked at together
    images = {"target": draw(rng, 5000, pixels=(9, 4, 9)), "source": draw(rng, 5000, pixels=(9, 4, 9))}
    images[side][4711, 2, 3] += 1
    message = (
        f"^{side} image 4711 has 10 counts in channel 2 and the first target image has 9; describe all images at one"
    )
    with pytest.raises(InputError, match=message):
        search(images["target"], images["source"], weights)


@pytest.mark.parametrize("side", ["target", "source"])
def test_a_channel_without_counts_is_refused(rng, draw, weights, side):
    images = {"target": draw(rng, 3), "source": draw(rng, 5)}
    images[side][:, 1] = 0
    fault = "no counts in channel 1; every" if side == "target" else "0 counts in channel 1 and the first target"
    with pytest.raises(InputError, match=f"^{side} image 0 has {fault}"):
        search(images["target"], images["source"], weights)


@pytest.mark.parametrize("side", ["target", "source"])
def test_negative_counts_are_refused(rng, draw, weights, side):
    images = {"target": draw(rng, 3).astype(np.int64), "source": draw(rng, 5).astype(np.int64)}
    images[side][2, 0, :2] += [-500, 500]
    with pytest.raises(InputError, match=f"^{side} descriptors have a negative count"):
        search(images["target"], images["source"], weights)


def test_a_bank_decides_what_its_descriptors_are_compared_by(colors):
    measure = measure_for(colors(), divergence="hellinger", smoothing=0.5)
    assert isinstance(measure, HistogramMeasure)
    assert (measure.divergence, measure.channel_weights.tolist(), measure.smoothing) == (
        "hellinger",
        [1.0, 0.5, 0.5],
        0.5,
    )

    class Pooled:
        n_features = 3

        def features(self, images):
            return images

        def config(self):
            return {}

    assert measure_for(Pooled(), smoothing=0.5) == SquaredDistance()


@pytest.mark.parametrize(
    ("targets", "sources", "message"),
    [
        (np.zeros((3, 4, 2), np.float32), np.zeros((5, 4), np.float32), r"^target features are float32 \(3, 4, 2\)"),
        (np.zeros((3, 4), np.int32), np.zeros((5, 4), np.float32), "^target features are int32"),
        (
            np.zeros((3, 4), np.float32),
            np.zeros((5, 3), np.float32),
            "^source features have length 3, target features 4$",
        ),
        (np.zeros((3, 4), np.float32), np.full((5, 4), np.nan, np.float32), "^source image 0 has features not finite$"),
    ],
)
def test_features_that_do_not_belong_together_are_refused(targets, sources, message):
    with pytest.raises(InputError, match=message):
        search = ExactSearch(targets, SquaredDistance(), depth=2)
        search.add(0, sources)
