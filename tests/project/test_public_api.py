"""What `import sjft_tf` offers is what `__init__.pyi` says: names of rooms, and the rooms."""

import ast
import importlib
import pathlib
import types

import pytest

import sjft_tf as sjft

STUB = ast.parse(pathlib.Path(sjft.__file__).with_suffix(".pyi").read_text())
NAMES = [(line.module, alias) for line in STUB.body for alias in line.names]


@pytest.mark.parametrize(("module", "alias"), NAMES, ids=[alias.name for _, alias in NAMES])
def test_a_name_of_the_stub_is_the_one_of_its_room(module, alias):
    found = getattr(sjft, alias.name)
    assert alias.asname == alias.name  # or type checkers take it for private
    if module is None:
        assert isinstance(found, types.ModuleType) and found.__name__ == f"sjft_tf.{alias.name}"
    else:
        assert found is getattr(importlib.import_module(f"sjft_tf.{module}"), alias.name)


def test_nothing_else_is_offered_and_scripts_need_not_many():
    names = {alias.name for _, alias in NAMES}
    assert set(sjft.__all__) == names == {name for name in dir(sjft)}
    assert sum(module is not None for module, _ in NAMES) <= 30
    with pytest.raises(AttributeError):
        sjft.nothing  # noqa: B018
    assert callable(sjft.retrieval.search_exact)
