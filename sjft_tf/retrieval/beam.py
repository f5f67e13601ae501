"""Exact search as an Apache Beam pipeline: a map over shards of the source, a top-k reduce for each target image.

A shard is searched by what searches it here, `ExactSearch`, and lists of shards are merged by their keys, so that on
equal machines the table is the local one to the bit. The lists of a shard are kept in the folder when they are found: a
shard is not searched again when a worker fails, which not every runner survives, or when the whole search is stopped.
"""

import difflib
import functools
import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.retrieval.exact import ExactSearch, Hubness
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.top_k import merge_keys, table_of

logger = logging.getLogger(__name__)

ATTEMPTS = 3
_TILE_ROWS = 256  # target images whose lists travel together


def search_beam(
    targets: np.ndarray,
    open_source: Callable[[], DescribedDomain],
    measure: Measure,
    *,
    depth: int,
    hubness: Hubness = "none",
    folder: pathlib.Path,
    made_from: str,
    runner: str = "DirectRunner",
    options: Sequence[str] = (),
    shard_blocks: int = 8,
) -> NeighborTable:
    """The table of `search_stream`, made by the workers of a Beam runner.

    Args:
        targets, measure, depth, hubness: as in `ExactSearch`.
        open_source: opens the source on a worker; picklable, hashable, and of files that the workers reach.
        folder: where the lists are kept, on a disk that all workers reach.
        made_from: hash of target, source, describer and measure, which the lists carry.
        runner: name of a Beam runner.
        options: its options, "key=value" each.
        shard_blocks: blocks of the source in a shard.

    Raises:
        InputError: an option is unknown, or the pipeline failed `ATTEMPTS` times.
    """
    arguments = pipeline_options(runner, options)
    source = open_source()
    rows = shard_blocks * source.block_rows
    shards = [(start, min(start + rows, len(source))) for start in range(0, len(source), rows)]
    files.save_arrays(folder / "targets.npz", targets=targets, made_from=made_from)
    search = functools.partial(search_shard, folder, made_from, open_source, measure, depth, hubness)
    for attempt in range(ATTEMPTS):
        try:
            with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
                _ = (
                    pipeline
                    | beam.Create(shards)
                    | beam.Reshuffle()
                    | "search" >> beam.FlatMap(search)
                    | "top k" >> beam.CombinePerKey(functools.partial(merge_keys, depth=depth))
                    | "keep" >> beam.MapTuple(functools.partial(_keep_tile, folder, made_from))
                )
            break
        except Exception as error:  # whatever a runner makes of a worker's failure
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            if attempt == ATTEMPTS - 1:
                raise InputError(f"search on {runner} failed {ATTEMPTS} times, at last with: {reason}") from error
            logger.warning(
                "search on %s failed (%s); shards that were done are kept, the others start again", runner, reason
            )
    tiles = [_tile(folder, start) for start in range(0, len(targets), _TILE_ROWS)]
    return table_of(
        np.concatenate([files.load_arrays(path, {"keys": np.int64})["keys"] for path in tiles]), hubness=hubness
    )


def pipeline_options(runner: str, options: Sequence[str]) -> list[str]:
    """Command-line arguments of a pipeline; InputError where an option is not "key=value", or Beam knows no such key."""
    known = PipelineOptions([]).get_all_options()
    arguments = [f"--runner={runner}"]
    for option in options:
        key, equals, _ = option.partition("=")
        if not equals:
            raise InputError(f"--beam-option {option!r} is not of the form key=value")
        if key not in known:
            near = "".join(f"; did you mean {name!r}?" for name in difflib.get_close_matches(key, known, 1))
            raise InputError(f"--beam-option {key!r} is unknown to Beam{near}")
        arguments.append(f"--{option}")
    return arguments


def search_shard(
    folder: pathlib.Path,
    made_from: str,
    open_source: Callable[[], DescribedDomain],
    measure: Measure,
    depth: int,
    hubness: Hubness,
    shard: tuple[int, int],
) -> Iterator[tuple[int, np.ndarray]]:
    """The lists of one shard: first row and keys of consecutive tiles of targets, found now or before."""
    path = folder / f"shard-{shard[0]:010d}-{shard[1]:010d}.npz"
    held = files.load_made_from(path, made_from, {"keys": np.int64}, otherwise="it is searched again")
    if held is None:
        targets, source = _opened(folder, made_from, open_source)
        search = ExactSearch(targets, measure, depth=depth, hubness=hubness)
        for start, descriptors in source.blocks(shard[0], shard[1]):
            search.add(start, descriptors)
        held = {"keys": search.keys()}
        files.save_arrays(path, **held, made_from=made_from)
    for start in range(0, len(held["keys"]), _TILE_ROWS):
        yield start, held["keys"][start : start + _TILE_ROWS]


@functools.lru_cache(maxsize=1)
def _opened(
    folder: pathlib.Path, made_from: str, open_source: Callable[[], DescribedDomain]
) -> tuple[np.ndarray, DescribedDomain]:
    """Targets and source, once a worker and search."""
    arrays = files.load_arrays(folder / "targets.npz", {"targets": np.generic, "made_from": np.str_})
    if str(arrays["made_from"]) != made_from:
        raise InputError(f"{folder / 'targets.npz'} is of another search; one at a time may use a run folder")
    return arrays["targets"], open_source()


def _keep_tile(folder: pathlib.Path, made_from: str, start: int, keys: np.ndarray) -> None:
    files.save_arrays(_tile(folder, start), keys=keys, made_from=made_from)


def _tile(folder: pathlib.Path, start: int) -> pathlib.Path:
    return folder / f"tile-{start:08d}.npz"
