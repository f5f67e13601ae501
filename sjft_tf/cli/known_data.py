"""Data sets that the paper or its field uses: size, licence, how to get them, and the lines of a config that open them.

Plain text. `docs/datasets.md` holds the same, and a test holds the two together; others open every config line.
"""

from typing import NamedTuple


class DataSet(NamedTuple):
    """What a user must know of a data set."""

    name: str
    title: str
    size: str  # images by split, classes, and what there is to download
    licence: str
    get: str
    config: str  # YAML

    def text(self) -> str:
        """All of it, in lines."""
        rows = [("size", self.size), ("licence", self.licence), ("get it", self.get), ("config", self.config)]
        lines = [
            f"  {label if number == 0 else '':8s} {line}"
            for label, value in rows
            for number, line in enumerate(value.splitlines())
        ]
        return "\n".join([f"{self.name}: {self.title}", *lines])


def _by_tfds(name: str) -> str:
    command = f"tfds.builder('{name}', file_format='array_record').download_and_prepare()"
    return f'python -c "import tensorflow_datasets as tfds; {command}"'


DATA_SETS = (
    DataSet(
        name="imagenet2012",
        title="ImageNet (ILSVRC 2012)",
        size="train 1,281,167, validation 50,000; 1,000 classes; 155 GB to download",
        licence="non-commercial research and education, by ImageNet's terms of access",
        get="Register at https://image-net.org/download-images and download two files by hand,\n"
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar,\n"
        "into ~/tensorflow_datasets/downloads/manual, as they are. Then\n" + _by_tfds("imagenet2012"),
        config="source: {tfds: imagenet2012, split: train}",
    ),
    DataSet(
        name="places365_small",
        title="Places365-Standard at 256 x 256",
        size="train 1,803,460, validation 36,500, test 328,500 without labels; 365 classes; 31 GB to download",
        licence="see http://places2.csail.mit.edu",
        get=_by_tfds("places365_small"),
        config="source: {tfds: places365_small, split: train}\n"
        "# with ImageNet, as in the paper:\n"
        "# source: {union: [{tfds: imagenet2012, split: train}, {tfds: places365_small, split: train}]}",
    ),
    DataSet(
        name="stanford_dogs",
        title="Stanford Dogs (Khosla et al. 2011)",
        size="train 12,000, test 8,580; 120 classes; 0.8 GB to download",
        licence="its pictures are ImageNet's, whose terms hold",
        get=_by_tfds("stanford_dogs"),
        config="target: {tfds: stanford_dogs, split: train}\n"
        "test:   {tfds: stanford_dogs, split: test}\n"
        "# its pictures are in ImageNet, so the source must be without them:\n"
        "source: {tfds: imagenet2012, split: train, without: [target, test]}",
    ),
    DataSet(
        name="oxford_flowers102",
        title="Oxford Flowers 102 (Nilsback & Zisserman 2008)",
        size="train 1,020, validation 1,020, test 6,149; 102 classes; 0.35 GB to download",
        licence="none stated; research",
        get=_by_tfds("oxford_flowers102"),
        config="target:     {tfds: oxford_flowers102, split: train}\n"
        "validation: {tfds: oxford_flowers102, split: validation}\n"
        "test:       {tfds: oxford_flowers102, split: test}",
    ),
    DataSet(
        name="caltech101",
        title="Caltech-101 (Fei-Fei et al. 2004)",
        size="train 30 a class, test the other images; 101 classes and clutter, 9,144 images; 0.14 GB to download",
        licence="see https://doi.org/10.22002/D1.20086",
        get=_by_tfds("caltech101"),
        config="target: {tfds: caltech101, split: train, exclude_classes: [background_google]}\n"
        "test:   {tfds: caltech101, split: test, exclude_classes: [background_google]}",
    ),
    DataSet(
        name="caltech256",
        title="Caltech-256 (Griffin et al. 2007)",
        size="30,607 images, no official split; 256 classes and clutter; 1.2 GB to download",
        licence="see https://data.caltech.edu/records/nyy15-4j048",
        get="Download 256_ObjectCategories.tar from https://data.caltech.edu/records/nyy15-4j048 and run\n"
        "tar -xf 256_ObjectCategories.tar -C data",
        config="# 15 a class by seed; the test has the others\n"
        "target: {folder: data/256_ObjectCategories, exclude_classes: [257.clutter], per_class: 15, seed: 0}\n"
        "test:   {folder: data/256_ObjectCategories, exclude_classes: [257.clutter], skip_per_class: 15, seed: 0}",
    ),
    DataSet(
        name="mit_indoor67",
        title="MIT Indoor 67 (Quattoni & Torralba 2009)",
        size="train 80 a class, test 20 a class, of 15,620 images; 67 classes; 2.4 GB to download",
        licence="research only, by its page",
        get="Download indoorCVPR_09.tar, TrainImages.txt and TestImages.txt from\n"
        "https://web.mit.edu/torralba/www/indoor.html into data/indoor67 and run\n"
        "tar -xf data/indoor67/indoorCVPR_09.tar -C data/indoor67",
        config="target: {folder: data/indoor67/Images, listed: data/indoor67/TrainImages.txt}\n"
        "test:   {folder: data/indoor67/Images, listed: data/indoor67/TestImages.txt}",
    ),
)
