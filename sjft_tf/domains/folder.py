"""Image collections laid out as one folder a class."""

import os
import pathlib
from collections.abc import Iterator, Sequence

from sjft_tf.domains.labeled import ImageFiles
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress

_READ = (".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")
_NOT_READ = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff")


class ImageFolder(ImageFiles):
    """A folder that holds one folder per class, and below each the images of the class, at any depth.

    Images are the files with the usual suffixes of image files, in upper or lower case. All of them are decoded once,
    here; those that cannot be used, formats that are not read among them, go to `rejected` with the reason. Other files
    (lists, notes, thumbnails' databases), files outside the class folders, and whatever begins with a dot, are not
    looked at.

    Args:
        path: the folder.
        class_names: the label space in its order, such as that of the training images; some may be absent here. If
            None, the names of the class folders, sorted.
        cache: a file that remembers what checking the images found, for a quick second start (see `check_files`).
        progress: told how many images have been checked.

    Raises:
        InputError: the folder is missing or holds no class folder, a class folder is not in `class_names` or has no
            usable image, or fewer than two images are usable.

    Example:
        train = ImageFolder("flowers/train")
        test = ImageFolder("flowers/test", class_names=train.class_names)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        class_names: Sequence[str] | None = None,
        cache: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> None:
        root = pathlib.Path(path)
        try:
            found = sorted(
                entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")
            )
            listed = {f"{name}/{image}": name for name in found for image in _images_below(root / name)}
        except OSError as error:
            raise InputError(
                f"{error.filename} cannot be read as a folder of class folders: {error.strerror}"
            ) from error
        if not found:
            raise InputError(f"{root} holds no folder; it must hold one folder per class with the images of the class")
        super().__init__(root, root, listed, found=found, class_names=class_names, cache=cache, progress=progress)


def _images_below(folder: pathlib.Path) -> Iterator[str]:
    """Paths relative to `folder`, with slashes."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        seen.add(os.path.realpath(parent))
        linked = [name for name in folders if os.path.realpath(os.path.join(parent, name)) in seen]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in linked]
        inside = pathlib.PurePath(os.path.relpath(parent, folder))
        for name in names:
            if not name.startswith(".") and name.lower().endswith(_READ + _NOT_READ):
                yield (inside / name).as_posix()


def _raise(error: OSError) -> None:
    raise error
