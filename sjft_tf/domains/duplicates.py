"""Which images of a collection are in other collections, too: as the same bytes, or as the same picture saved differently.

A picture's signature is what is left of it at 16 x 16 pixels: luminance and color by cosine frequencies, each times its
frequency, because the spectrum of photographs falls as one over it, and scaled to unit length. So it does not see size,
brightness, contrast and compression, and broad shading, in which unlike photographs agree, counts no more than outlines.
A picture has two, of the whole and of its middle, so that one is found again that was cut by some 10 %; one that was cut
by 25 % or mirrored is not. There are no weights. `docs/datasets.md` measures it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft
import tensorflow as tf

from sjft_tf.domains.domain import Domain
from sjft_tf.images import try_views
from sjft_tf.progress import Progress

_SIDE, _HIGHEST = 16, 8  # pixels a side; frequencies below this many half-waves a side are kept
_FLAT = 16.0  # length of what varies by one gray level from pixel to pixel; what varies less has no signature
_MIDDLE = 0.9  # share of each side that is the middle
_CHUNK, _TILE = 256, 8192  # images read together; images of the others in one product
# Luminance and the two color differences of BT.601 out of red, green and blue; color is doubled, there being less of it.
_COLORS = np.array([[0.299, 0.587, 0.114], [-0.338, -0.662, 1.0], [1.0, -0.838, -0.162]], np.float32)


def _weighted_waves() -> np.ndarray:
    """`[55, 16, 16]` float32, cosines of two dimensions, each times its frequency."""
    cosines = scipy.fft.dct(np.eye(_SIDE), axis=0, norm="ortho")
    rows, columns = np.indices((_SIDE, _SIDE)).reshape(2, -1)
    frequencies = np.hypot(rows, columns)
    kept = (frequencies > 0) & (frequencies < _HIGHEST)
    waves = cosines[rows[kept], :, np.newaxis] * cosines[columns[kept], np.newaxis]
    return (frequencies[kept, np.newaxis, np.newaxis] * waves).astype(np.float32)


_WAVES = _weighted_waves()


class Duplicates(NamedTuple):
    """For each image of a domain the most similar image of some others.

    Attributes:
        positions: `[n]` int32, of that image in the others, counted on from one to the next.
        distances: `[n]` float32 in 0..4, squared, between the signatures of the two; 0 where the bytes are the same.
        exact: `[n]` bool, whether the bytes are the same.
    """

    positions: np.ndarray
    distances: np.ndarray
    exact: np.ndarray

    def within(self, distance: float) -> np.ndarray:
        """`[n]` bool, whether an image is a duplicate: nearer than `distance`, above 0, as equal bytes are in any case."""
        return self.distances < distance


def find_duplicates(domain: Domain, others: Sequence[Domain], *, progress: Progress | None = None) -> Duplicates:
    """The most similar image of the others for each image of a domain.

    Every image is read and decoded once. Memory is that of the others' signatures, 1.3 kB an image.

    Args:
        domain: the images in question.
        others: at least one image in all.
        progress: told how many images of all domains have been read.
    """
    n_others, seen = sum(map(len, others)), 0
    counts = np.cumsum([0, *map(len, others)])
    by_bytes: dict[bytes, int] = {}
    known = np.empty((n_others, 2, 3 * len(_WAVES)), np.float32)

    def tell(n: int) -> None:
        nonlocal seen
        seen += n
        if progress:
            progress(seen, n_others + len(domain))

    for first, other in zip(counts, others, strict=False):
        for rows, digests, found in _read(other):
            known[first + rows] = found
            for position, content in zip((first + rows).tolist(), digests, strict=True):
                by_bytes.setdefault(content, position)
            tell(len(rows))
    positions, distances = np.empty(len(domain), np.int32), np.empty(len(domain), np.float32)
    exact = np.zeros(len(domain), bool)
    for rows, digests, found in _read(domain):
        same = np.array([by_bytes.get(content, -1) for content in digests])
        near, distance = _nearest_of_both(found, known)
        exact[rows] = same >= 0
        positions[rows], distances[rows] = np.where(same >= 0, same, near), np.where(same >= 0, 0, distance)
        tell(len(rows))
    return Duplicates(positions, distances, exact)


def nearest(signatures: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each signature the nearest other one, and its squared distance; ties by the lower position.

    Args:
        signatures: `[n, F]` float32.
        others: `[m, F]` float32, m >= 1.

    Returns:
        `[n]` int32 and `[n]` float32: 2 - 2 <u, v>, the squared distance of unit vectors; 2 from a picture without any.
    """
    best, positions = np.full(len(signatures), -np.inf, np.float32), np.zeros(len(signatures), np.int32)
    for first in range(0, len(others), _TILE):
        products = signatures @ others[first : first + _TILE].T
        columns = products.argmax(axis=1)
        values = products[np.arange(len(products)), columns]
        better = values > best
        best[better], positions[better] = values[better], first + columns[better]
    return positions, np.maximum(2 - 2 * best, 0)


def _nearest_of_both(found: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` for `[n, 2, F]` and `[m, 2, F]`: whole to whole, middle to whole or whole to middle, whichever is least."""
    pairs = [nearest(found[:, one], known[:, other]) for one, other in ((0, 0), (1, 0), (0, 1))]
    positions, distances = (np.stack(each) for each in zip(*pairs, strict=True))
    least, rows = distances.argmin(axis=0), np.arange(len(found))
    return positions[least, rows], distances[least, rows]


def signatures(pictures: np.ndarray) -> np.ndarray:
    """Signatures of pictures.

    Args:
        pictures: `[n, 16, 16, 3]` float32, RGB in 0..255.

    Returns:
        `[n, F]` float32 of unit length; zeros for a picture that varies by less than a gray level.
    """
    colored = (pictures @ _COLORS.T).transpose(0, 3, 1, 2)
    found = (colored.reshape(-1, _SIDE**2) @ _WAVES.reshape(-1, _SIDE**2).T).reshape(len(pictures), -1)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths < _FLAT, 0, found / np.maximum(lengths, _FLAT)).astype(np.float32)


def thumbnails(image: tf.Tensor) -> tf.Tensor:
    """The whole image, `[h, w, 3]` uint8, and its middle, both squashed: `[2, 16, 16, 3]` float32."""
    size = tf.shape(image)[:2]
    edge = tf.cast(tf.round(tf.cast(size, tf.float32) * (1 - _MIDDLE) / 2), tf.int32)
    middle = image[edge[0] : size[0] - edge[0], edge[1] : size[1] - edge[1]]
    small = [tf.image.resize(part, (_SIDE, _SIDE), antialias=True) for part in (image, middle)]
    return tf.ensure_shape(tf.stack(small), (2, _SIDE, _SIDE, 3))


def _read(domain: Domain) -> Iterator[tuple[np.ndarray, list[bytes], np.ndarray]]:
    """Positions, digests of the bytes, and signatures, of a few hundred images at a time."""
    for first in range(0, len(domain), _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, len(domain)))
        encoded = domain.encoded(rows)
        digests = [hashlib.blake2b(content, digest_size=16).digest() for content in encoded]
        small = _thumbnails(tf.constant(encoded, tf.string)).numpy()
        yield rows, digests, signatures(small.reshape(-1, _SIDE, _SIDE, 3)).reshape(len(rows), 2, -1)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _thumbnails(encoded: tf.Tensor) -> tf.Tensor:
    return try_views(encoded, thumbnails)[0]  # black, and so without a signature, where an image cannot be decoded
