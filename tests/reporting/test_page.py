import base64
import dataclasses
import functools
import html.parser
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import PIL.Image
import pytest

from sjft_tf.errors import InputError
from sjft_tf.reporting import write_report
from sjft_tf.reporting.results import worst_classes
from sjft_tf.reporting.words import percent

VOID = {"meta", "img", "br", "link", "input", "hr"}
NASTY = (
    '<script>alert("x")</script>',
    "a & b; 'quoted' \"twice\"",
    "日本語のクラス 🌻 naïve",
    "$x_1$ " + "long" * 60,
    "</style></svg>&amp;&lt;",
)


class Page(html.parser.HTMLParser):
    """Elements, their attributes and texts; a tag that is closed out of order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.table = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = dict(attrs).get("id", "")
            self.rows[self.table] = []
        if tag == "tr":
            self.rows[self.table].append([])
        if tag in ("td", "th"):
            self.rows[self.table][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.rows[self.table][-1][-1] += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Writes the report of some data; gives its text, and that text parsed."""

    def write(data) -> tuple[str, Page]:
        path = tmp_path_factory.mktemp("run") / "report.html"
        write_report(path, data)
        text = path.read_text(encoding="utf-8")
        return text, Page(text)

    return write


@pytest.fixture(scope="module")
def page_of(write, make_data):
    """The page of a usual run in a mode, written once; class names are nasty."""
    return functools.cache(lambda mode: write(make_data(mode, names=NASTY))[1])


def decoded(uri: str) -> tuple[str, bytes]:
    kind, content = re.fullmatch(r"data:([a-z+/]+);base64,(.*)", uri).groups()
    return kind, base64.b64decode(content, validate=True)


@pytest.mark.parametrize("mode", ["selective", "random", "all", "none"])
def test_every_picture_is_inside_the_page_and_decodes(page_of, mode):
    images = page_of(mode).all("img")
    assert len(images) == {"selective": 9 + 12 + 3, "random": 7 + 12, "all": 5, "none": 5}[mode]
    for image in images:
        assert image["alt"]
        kind, content = decoded(image["src"])
        if kind == "image/svg+xml":
            root = ElementTree.fromstring(content)
            links = [
                value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")
            ]
            assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
            assert b"<script" not in content
        else:
            PIL.Image.open(io.BytesIO(content)).load()


def test_the_page_refers_to_nothing_outside_and_forbids_it(make_data, write):
    text, page = write(make_data(names=NASTY))
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
        assert not any(name.startswith("on") for name in attributes)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert not re.search(r"url\(|@import|https?:", text)
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize("mode", ["selective", "none"])
def test_links_lead_to_sections_of_the_page(page_of, mode):
    links = {link["href"].removeprefix("#") for link in page_of(mode).all("a")}
    assert links == {section["id"] for section in page_of(mode).all("section")}


def test_names_come_out_as_they_went_in(make_data, write):
    config = "name: '<i>&amp;'\nx: \"{{ 7 * 7 }}\"\n"
    _, page = write(make_data(names=NASTY, name=NASTY[0], config=config, versions={"<x>": "<1>"}))
    shown = "".join(page.texts)
    for text in (*NASTY, config, "<x>", "<1>"):
        assert text in shown
    labels = {image["alt"] for image in page.all("img")}
    assert set(NASTY[:2]) <= labels
    assert {row[0] for row in page.rows["worst"][1:]} == set(NASTY)


def test_bytes_of_a_folder_name_that_are_no_text_do_not_stop_the_page(make_data, write):
    name = b"caf\xe9\x07".decode("utf-8", "surrogateescape")
    _, page = write(make_data(names=(name, "b", "c")))
    assert any("caf?" in text for text in page.texts)


def test_the_tables_hold_the_numbers_of_the_run(make_data, write):
    data = make_data()
    _, page = write(data)
    expected = [
        [result.name, str(result.n_images), percent(result.accuracy), f"{result.confused_with} ({result.n_confused})"]
        for result in worst_classes(data.confusion, data.class_names)
    ]
    assert page.rows["worst"][1:] == expected
    names, _, second, _ = page.rows["rounds"]
    assert dict(zip(names, (cell.replace("\u00a0", " ") for cell in second), strict=True)) == {
        "round": "2",
        "K, mean": "130",
        "source in reach": "2,234",
        "target loss": "1.500",
        "source loss": "4.500",
        "target training accuracy": "60.0 %",
        "validation, mean class": "36.0 %",
        "test, mean class": "45.0 %",
        "time": "12.5 s",
    }
    assert page.rows["domains"][1] == ["target", "flowers/train", "60", "3", "4"]
    assert [row[0] for row in page.rows["stages"]] == ["describe", "train"]
    assert page.rows["versions"] == [["sjft_tf", "0.1.0"], ["keras", "3.15.1"]]


def test_the_gallery_has_a_column_for_each_rank_that_exists(make_data, write):
    _, page = write(make_data(ranks=(1, 10)))
    gallery = page.rows["gallery"]
    assert [cell.strip() for cell in gallery[0]] == ["target", "1st", "10th"]
    assert "0.143 nats" in gallery[1][1]
    assert "1.43 nats" in gallery[1][2]


def test_the_page_says_who_is_borrowed_from_and_what_the_search_missed(make_data, write):
    data = make_data()
    _, page = write(data)
    shown = " ".join(page.texts)
    for hub in data.borrowing.hubs:
        assert hub.label in page.texts
        assert hub.detail in page.texts
    assert data.specificity in shown
    for said in ("is never borrowed", "Classes by their share of all pairs", "The search was approximate"):
        assert said in shown


def test_neighbors_by_features_are_not_called_low_level(make_data, write):
    _, low = write(make_data())
    _, semantic = write(dataclasses.replace(make_data(), semantic=True))
    said, instead = "the divergence of Eq. (1)", "the squared distance of their feature vectors"
    assert said in " ".join(low.texts) and instead not in " ".join(low.texts)
    assert instead in " ".join(semantic.texts) and said not in " ".join(semantic.texts)


def test_after_an_exact_search_of_one_class_there_is_neither_certificate_nor_chart_of_classes(make_data, write):
    data = make_data()
    held = data.borrowing._replace(class_names=["thing"], class_shares=np.ones(1), class_expected=np.ones(1), hubs=[])
    _, page = write(dataclasses.replace(data, borrowing=held, certificate=None))
    shown = " ".join(page.texts)
    assert "is never borrowed" in shown
    assert "Source classes" not in shown
    assert "certificate" not in page.ids and "hubs" not in page.ids


@pytest.mark.parametrize("mode", ["random", "all"])
def test_what_is_not_borrowed_by_neighbors_is_not_shown_as_such(page_of, mode):
    shown = " ".join(page_of(mode).texts)
    assert "Who is borrowed from" not in shown and "Hubs" not in shown


@pytest.mark.parametrize("name", ["certificate", "specificity"])
def test_one_sentence_alone_still_has_its_section(make_data, write, name):
    data = make_data()
    alone = {"certificate": None, "specificity": "", name: getattr(data, name)}
    _, page = write(dataclasses.replace(data, gallery=[], borrowing=None, **alone))
    assert page.ids & {"neighbors", "certificate", "specificity"} == {"neighbors", name}
    assert "#neighbors" in {link["href"] for link in page.all("a")}


NO_CHARTS = {"entropies_per_round": [], "correct_per_round": [], "test_rounds": [], "confusion": None}


def changed(make_data, *changes, **fields):
    """Data of a run with few charts, each round's entry changed."""
    history = make_data("none", rounds=len(changes)).history
    history = [{**entry, "loss_curve": None, **change} for entry, change in zip(history, changes, strict=True)]
    return make_data("none", **{**NO_CHARTS, **fields, "history": history})


def test_what_was_noticed_stands_near_the_top_by_round(make_data, write):
    noticed = [{"warnings": ["<Loss> rises.", "K stands still."]}, {"warnings": []}, {"warnings": ["It overfits."]}]
    text, page = write(changed(make_data, *noticed))
    assert [said for said in page.texts if said in ("Round 1", "Round 2", "Round 3")] == ["Round 1", "Round 3"]
    for said in ("What to watch", "<Loss> rises.", "K stands still.", "It overfits."):
        assert said in page.texts
    assert text.index("What to watch") < text.index("<nav")


def test_where_nothing_was_noticed_one_sentence_says_so_and_where_nobody_looked_none(make_data, write):
    _, page = write(changed(make_data, {"warnings": []}, {"warnings": []}))
    assert "Nothing unusual was noticed after any round." in page.texts
    assert "What to watch" not in page.texts
    assert "watch" not in write(changed(make_data, {}))[1].ids


def test_the_page_of_a_run_in_training_says_how_far_it_is(make_data, write):
    _, page = write(changed(make_data, {"warnings": []}, {"warnings": []}, rounds_planned=5))
    shown = " ".join(page.texts)
    assert "This is the state after round 2 of 5; training continues." in shown
    assert "run report · in training" in shown and "so far" in page.texts
    assert "Nothing unusual was noticed after any round so far." in shown
    assert "classes" not in page.ids
    assert "in training" not in " ".join(write(changed(make_data, {}, {}, rounds_planned=2))[1].texts)


def test_gradients_and_calibration_have_figures_where_they_were_measured(make_data, write):
    gradients = {"gradients": {"target": 2.0, "source": 3.0, "cosine": -0.1}}
    bins = [{"low": 0.0, "high": 0.5, "n": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1.0, "n": 40, "confidence": 0.9, "accuracy": 0.7}]  # fmt: skip
    _, page = write(changed(make_data, gradients, {}, reliability=bins, ece=0.2))
    assert sorted(image["alt"].split(":")[0] for image in page.all("img")) == [
        "Chart of gradient norms and their cosine against round", "Reliability diagram",
    ]  # fmt: skip
    assert "20.0 points on average (ECE)" in " ".join(page.texts)


def test_the_page_says_how_test_images_were_seen(make_data, write):
    rounds = [{"round": number, "mean_class_accuracy": 0.5, "accuracy": 0.5} for number in (0, 1)]
    for view, said, times in (("ten", "each seen by ten crops", 2), ("center", "each seen by its center crop", 1)):
        _, page = write(changed(make_data, {}, {}, test_view=view, test_rounds=rounds))
        assert sum(said in text for text in page.texts) == times


def test_fine_tuning_alone_shows_neither_neighbors_nor_k(page_of):
    page = page_of("none")
    assert "neighbors" not in page.ids
    shown = " ".join(page.texts)
    assert "eighbor" not in shown
    assert "source loss" not in shown
    assert "in reach" not in shown
    assert "K, mean" not in page.rows["rounds"][0]


def test_without_validation_the_page_does_not_speak_of_it(make_data, write):
    _, page = write(make_data(validated=False))
    assert "alidation" not in " ".join(page.texts)


def test_without_a_test_domain_there_are_no_classes_and_no_accuracy_chart(make_data, write):
    data = make_data(test_rounds=[], confusion=None)
    _, page = write(data)
    assert "classes" not in page.ids
    assert "Accuracy per round" not in page.texts
    assert "worst" not in page.rows


def test_one_round_makes_no_chart_of_accuracy(make_data, write):
    _, page = write(make_data(rounds=1))
    assert "Accuracy per round" not in page.texts
    assert len(page.rows["rounds"]) == 2


def test_the_least_that_a_report_needs_makes_a_page(make_data, write):
    data = make_data("none", history=[], entropies_per_round=[], correct_per_round=[], test_rounds=[], confusion=None,
                     seconds={}, config="", versions={})  # fmt: skip
    _, page = write(data)
    assert page.ids == {"data", "domains"}


def test_a_perfect_classifier_has_no_worst_classes(make_data, write):
    _, page = write(make_data(confusion=5 * np.eye(3, dtype=int)))
    assert "Every test image was classified correctly." in page.texts
    assert "worst" not in page.rows


def test_a_diverged_run_still_has_a_page(make_data, write):
    nothing = [None, None]
    entry = {
        **make_data(rounds=1).history[0],
        "target_loss": None,
        "loss_curve": {"step": [1, 2], "target": nothing, "source": nothing},
    }
    entropies, correct = [np.full(60, np.nan)], [np.zeros(60, bool)]
    _, page = write(make_data(rounds=1, history=[entry], entropies_per_round=entropies, correct_per_round=correct))
    assert "–" in page.rows["rounds"][1]


def test_a_hundred_classes_and_large_pictures_stay_under_two_megabytes(make_data, write):
    # Noise is the worst case for JPEG; photographs take a third.
    data = make_data(
        names=tuple(f"{i:03d}_a-flower-of-some-kind" for i in range(102)), rounds=8, rows=8, size=256, hubs=8
    )
    text, _ = write(data)
    assert len(text) < 2e6


def test_the_same_data_give_the_same_bytes(make_data, write):
    data = make_data(rounds=2, rows=1)
    assert write(data)[0] == write(data)[0]


def test_a_page_that_cannot_be_written_is_an_input_error(make_data, tmp_path):
    (tmp_path / "file").write_text("")
    data = make_data("none", history=[], entropies_per_round=[], correct_per_round=[], test_rounds=[], confusion=None)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", data)
