import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors import AlexNetBank, BinEdges, GaborBank, HistogramDescriber, engine, fit_bin_edges
from sjft_tf.errors import InputError

SIZE, DRAWN = 14, 16  # images of 16 pixels are not resized, only cut to the central 14
SMALL = GaborBank(scales=2, orientations=3)


def describe(domain, bank, edges, *, image_size=SIZE, **which):
    return HistogramDescriber(bank, edges, image_size=image_size).describe(domain, **which)


@pytest.fixture(scope="module")
def target(drawn_images):
    return drawn_images(np.random.default_rng(0).integers(0, 256, (7, DRAWN, DRAWN, 3), np.uint8))


@pytest.fixture(scope="module")
def edges(target):
    return fit_bin_edges(target, SMALL, image_size=SIZE, bins=4)


@pytest.fixture(scope="module")
def everything(target, edges):
    return describe(target, SMALL, edges)


class TwoSizes:
    """Colors, and one map of half the size: what a network's layers look like."""

    channel_weights = np.array([1 / 3, 1 / 3, 1 / 3, 1])
    channel_names = ("red", "green", "blue", "coarse")

    def responses(self, images):
        channels_first = tf.transpose(images, (0, 3, 1, 2))
        return [channels_first, channels_first[:, 1:2, ::2, ::2]]

    def config(self):
        return {}


def test_descriptors_equal_a_slow_numpy_evaluation(slow, drawn_images, target):
    edges = fit_bin_edges(target, GaborBank(), image_size=SIZE, bins=8, fine_bins=100)
    source = drawn_images(target.images[:5] // 3)
    counts = describe(source, GaborBank(), edges)
    slow_target, slow_source = (
        np.stack([slow.responses(image[1:-1, 1:-1] @ (0.299, 0.587, 0.114), 4, 6) for image in domain.images])
        for domain in (target, source)
    )
    lower, upper = slow_target.min((0, 2, 3)), slow_target.max((0, 2, 3))
    np.testing.assert_allclose(edges.lower, lower, atol=5e-4)  # float32 responses; see test_gabor
    np.testing.assert_allclose(edges.upper, upper, atol=5e-4)
    expected = np.stack([slow.counts(image.reshape(48, -1), edges) for image in slow_source])
    moved = abs(counts.astype(int) - expected).sum() // 2
    assert moved <= 1e-4 * expected.sum()  # responses within rounding of an edge
    assert counts.sum() == expected.sum() == 5 * 48 * SIZE**2


def test_equal_mass_bins_hold_equal_shares_of_the_target(everything):
    np.testing.assert_allclose(everything.sum(0) / everything[:, 0].sum(), 0.25, atol=0.01)


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("bank", "size", "elsewhere"), [(SMALL, 14, 0), (GaborBank(), 40, 0), (AlexNetBank(), 64, 1e-5)]
)
def test_an_image_is_computed_alike_whatever_stands_beside_it(drawn_images, bank, size, elsewhere):
    """On the responses themselves: a bin hides most of what rounding does to them. At another place of a batch those of
    convolutions may round differently, by `elsewhere` of the largest.
    """
    rng = np.random.default_rng(2)
    domain = drawn_images(rng.integers(0, 256, (21, size, size, 3), np.uint8))
    graph = engine.BatchGraph(lambda batch, n: bank.responses(batch)[-1][:n], image_size=size)

    def measured(indices):
        return np.concatenate([responses for _, responses in graph.batches(domain, indices)])

    everything, keeps_place = measured(np.arange(21)), np.arange(21) % 3 == 0
    for others in (rng.permutation(21), np.full(21, 20)):  # the last batch is filled up
        indices = np.where(keeps_place, np.arange(21), others)
        responses = measured(indices)
        np.testing.assert_array_equal(responses[keeps_place], everything[keeps_place])
        np.testing.assert_allclose(responses, everything[indices], rtol=0, atol=elsewhere * abs(everything).max())


@pytest.mark.arithmetic
def test_a_part_of_a_domain_is_described_as_the_whole_is(target, edges, everything, drawn_images):
    others = np.random.default_rng(4).integers(0, 256, (30, DRAWN, DRAWN, 3), np.uint8)
    longer = drawn_images(np.concatenate([others, target.images]))
    np.testing.assert_array_equal(describe(longer, SMALL, edges)[30:], everything)


def test_indices_choose_and_order_the_images(target, edges, everything):
    chosen = np.array([6, 0, 3, 3])
    np.testing.assert_array_equal(describe(target, SMALL, edges, indices=chosen), everything[chosen])
    assert describe(target, SMALL, edges, indices=chosen[:0]).shape == (0, *everything.shape[1:])


def test_groups_of_different_sizes_are_described_side_by_side(slow, target):
    edges = fit_bin_edges(target, TwoSizes(), image_size=SIZE, bins=5, fine_bins=64)
    counts = describe(target, TwoSizes(), edges)
    colors = np.float32(target.images[:, 1:-1, 1:-1]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(edges.lower, [*colors.min((0, 2, 3)), colors[:, 1, ::2, ::2].min()])
    for image, found in zip(colors, counts, strict=True):
        first, second = (BinEdges(edges.lower[c], edges.upper[c], edges.edges[c]) for c in (slice(3), slice(3, 4)))
        np.testing.assert_array_equal(found[:3], slow.counts(image.reshape(3, -1), first))
        np.testing.assert_array_equal(found[3:], slow.counts(image[1, ::2, ::2].reshape(1, -1), second))


def test_progress_is_told_of_every_image(target, monkeypatch):
    monkeypatch.setattr(engine, "BATCH", 4)
    told = []

    def tell(done, total):
        told.append((done, total))

    edges = fit_bin_edges(target, TwoSizes(), image_size=SIZE, bins=2, progress=tell)
    describe(target, TwoSizes(), edges, progress=tell)
    assert told == [(4, 14), (7, 14), (11, 14), (14, 14), (4, 7), (7, 7)]


def test_tf32_is_off_only_while_describing(target):
    seen = []

    class Watching(TwoSizes):
        def responses(self, images):
            seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
            return super().responses(images)

    fit_bin_edges(target, Watching(), image_size=SIZE)
    assert seen == [False, False]
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_maps_too_large_for_uint16_are_refused(target):
    edges = BinEdges(np.zeros(4, np.float32), np.ones(4, np.float32), np.full((4, 1), 0.5, np.float32))
    for attempt in (
        lambda: fit_bin_edges(target, TwoSizes(), image_size=256),
        lambda: describe(target, TwoSizes(), edges, image_size=256),
    ):
        with pytest.raises(InputError, match="^a response map has 256 x 256 pixels; descriptors count 65535 at most$"):
            attempt()


def test_unusable_values_are_refused(target, edges, drawn_images):
    with pytest.raises(InputError, match="the bin edges have 12 channels; the filter bank has 4"):
        describe(target, TwoSizes(), edges)
    with pytest.raises(InputError, match="number of bins is 1"):
        fit_bin_edges(target, SMALL, image_size=SIZE, bins=1)
    with pytest.raises(InputError, match="image size is 0"):
        fit_bin_edges(target, SMALL, image_size=0)
    with pytest.raises(InputError, match="drawn has no images"):
        fit_bin_edges(drawn_images(target.images[:0]), SMALL, image_size=SIZE)


def test_responses_that_are_not_finite_are_refused(target):
    class Broken(TwoSizes):
        def responses(self, images):
            return [maps / (maps - maps) for maps in super().responses(images)]

    with pytest.raises(InputError, match="responses to drawn are not finite"):
        fit_bin_edges(target, Broken(), image_size=SIZE)
