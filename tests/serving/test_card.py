"""The model card, read back by a Markdown parser."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sjft_tf.errors import InputError
from sjft_tf.serving.card import model_card


def tables(text: str) -> list[list[list[str]]]:
    """The rows below each table's header, as a reader sees them; markup other than code is put in angle quotes."""
    result: list[list[list[str]]] = []
    in_body = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("tbody_open", "tbody_close"):
            in_body = token.type == "tbody_open"
            result += [[]] if in_body else []
        elif in_body and token.type == "tr_open":
            result[-1].append([])
        elif in_body and token.type == "inline":
            plain = ("text", "text_special", "code_inline")
            cell = [child.content if child.type in plain else f"«{child.type}»" for child in token.children or ()]
            result[-1][-1].append("".join(cell))
    return result


MARKUP = st.sampled_from(["a|b", "*x*", "<b>", "[l](u)", "`c`", "# h", "a\\", "&lt;", "![i](u)"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1).filter(str.strip)


@settings(deadline=None)
@given(st.lists(TEXTS | MARKUP, max_size=4))
def test_class_names_are_shown_as_they_are(names):
    shown = tables(model_card(names, 64, {}))[-1] if names else []
    assert [row[:2] for row in shown] == [[str(i), " ".join(name.split())] for i, name in enumerate(names)]


def test_results_are_shown_overall_and_per_class():
    final = {"mean_class_accuracy": 0.5125, "accuracy": 0.75, "per_class": {"rose": 1.0, "aster": 0.025, "lily": None}}
    test = {"domain": "flowers/test", "n": 41, "view": "flip", "final": final}
    text = model_card(["rose", "aster", "lily"], 64, {"test": test})
    assert "On 41 images of flowers/test (flip view):" in text
    *_, results, classes = tables(text)
    assert results == [["mean class accuracy", "51.2 %"], ["accuracy", "75.0 %"]]
    assert [row[1:] for row in classes] == [["rose", "100.0 %"], ["aster", "2.5 %"], ["lily", "not measured"]]


def test_data_name_their_counts_and_licenses_and_say_what_is_not_stated():
    rows = [
        {"role": "target", "name": "flowers|train", "images": 1020, "classes": 102},
        {"role": "source", "license": "CC0"},
    ]
    shown = tables(model_card(["rose"], 64, {"data": rows}))[1]  # after that of the files
    unknown = "not stated"
    assert shown == [["target", "flowers|train", "1020", "102", unknown], ["source", unknown, unknown, unknown, "CC0"]]


def test_training_limits_and_versions_are_told():
    card = {"name": "run_1*", "backbone": "resnet18v2", "training": {"rounds": 5}, "versions": {"keras": "3"}}
    text = model_card(["rose"], 64, {**card, "limits": ["Trained by <day>."]})
    assert text.startswith("# run\\_1\\*\n") and "Backbone: resnet18v2." in text and "- Trained by \\<day\\>.\n" in text
    assert [["rounds", "5"]] in tables(text) and [["keras", "3"]] in tables(text)


def test_an_unknown_key_is_named():
    with pytest.raises(InputError, match="no key 'licence'; it has name, backbone"):
        model_card(["rose"], 64, {"licence": "CC0"})
