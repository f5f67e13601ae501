"""What decides a run's numbers besides its settings."""

import importlib.metadata
import os
import platform

from sjft_tf import arithmetic

PACKAGES = ("sjft-tf", "tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-image", "tensorflow-datasets")


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decide a run's numbers, and what their rounding depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(os.cpu_count())}
    found |= arithmetic.in_force()
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
