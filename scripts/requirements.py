"""Print what pip has to install before this package itself, as lines of a requirements file.

    python scripts/requirements.py [--cpu] [EXTRA ...]

The lines are the build requirements of pyproject.toml and, from setup.cfg, those of the package and of the extras.
With `--cpu`, tensorflow-cpu takes the place of tensorflow: the same code without CUDA, a quarter of the download. It is
another distribution, so `pip check` misses "tensorflow" in such an environment; nothing else does.
"""

import argparse
import configparser
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]


def requirements(extras: list[str], cpu: bool) -> list[str]:
    """Requirement lines of the build, the package and `extras`; with `cpu`, of TensorFlow's build without CUDA."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    blocks = [setup["options"]["install_requires"]] + [setup["options.extras_require"][extra] for extra in extras]
    lines = [line for block in blocks for line in block.splitlines() if line]
    if cpu:
        lines = [re.sub(r"^tensorflow(?![\w-])", "tensorflow-cpu", line) for line in lines]
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"] + lines


def main() -> None:
    """Print the lines for the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="TensorFlow without CUDA")
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="a name under options.extras_require in setup.cfg")
    arguments = parser.parse_args()
    print("\n".join(requirements(arguments.extras, arguments.cpu)))


if __name__ == "__main__":
    main()
