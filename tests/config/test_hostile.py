"""Whatever a text holds, it ends as an Experiment or in one line of bounded length that names the place."""

import itertools
import random

import pytest

from sjft_tf.config import ConfigError, Experiment, load_experiment, parse_experiment, to_yaml
from sjft_tf.config.messages import MOST

VALID = """\
name: flowers
seed: 3
target: &t {folder: data/train}
test: {tfds: mnist/3, split: "train[:10%]"}
source: {union: [{folder: a}, {table: b.csv, root: c}]}
descriptor:
  bank: alexnet
  bins: 32
retrieval: {smoothing: 0.5, max_k: 900}
selection: {mode: selective, k0: 50, delta: 1e-1}
model: {backbone: resnet18v2, weights: null}
training: {batch_size: 64, learning_rate: 0.1, restart: false}
"""
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(10 * [f'*{old}'])}]\n" for old, new in itertools.pairwise("abcdefghij")
)
# a text, the line that the message names, and what else it must hold
CASES = {
    "5,000 digits": ("seed: 3", "seed: " + 5000 * "9", "line 2: seed is '999"),
    "9,000 hexadecimal digits": ("seed: 3", "seed: 0x" + 9000 * "f", "line 2: seed is '0xfff"),
    "10,000 sexagesimal digits": ("seed: 3", "seed: 1" + 10000 * ":1", "line 2: seed is '1:1:1"),
    "too large for a float": ("0.1", "1e999", "line 12: training.learning_rate is inf; it must be a finite number"),
    "a digit too many": ("seed: 3", "seed: 3.5e5.1", "line 2: seed is '3.5e5.1'; it must be a whole number"),
    "nested 30,000 deep": ("seed: 3", "seed: " + 30000 * "[", "line 2: cannot be read as YAML: it nests more than 16"),
    "nested by indentation": ("seed: 3", "seed:\n" + 9000 * "- ", "line 3: cannot be read as YAML: it nests more than 16"),
    "tagged bool": ("false", "!!bool maybe", "line 12: training.restart is 'maybe', which cannot be read as bool"),
    "tagged int": ("seed: 3", "seed: !!int ''", "line 2: seed is '', which cannot be read as int"),
    "tagged float": ("seed: 3", "seed: !!float x", "line 2: seed is 'x', which cannot be read as float"),
    "tagged Python": ("flowers", "!!python/object/apply:os.system [ls]", "line 1: name has the tag '!!python/object"),
    "tagged bytes": ("flowers", "!!binary aGk=", "line 1: name has the tag '!!binary'"),
    "a bomb of aliases": ("seed: 3\n", "seed: 3\n" + ALIASES, "cannot be read as YAML: it holds more than 2,000"),
    "many values": ("seed: 3", "seed: [" + 9000 * "a, " + "]", "line 2: cannot be read as YAML: it holds more than 2,000"),
    "an alias of what is around it": ("flowers", "&n [*n]", "line 1: cannot be read as YAML: it nests more than 16"),
    "an unknown alias": ("flowers", "*" + 2000 * "z", "line 1: cannot be read as YAML: found undefined alias 'zzz"),
    "a merge key": ("{folder: data/train}", "{<<: {folder: a}}", "line 3: unknown key 'target.<<'"),
    "a key of several lines": ("seed:", r'"se\ned\e[31m":', r"line 2: unknown key 'se\ned\x1b[31m'; did you mean 'seed'"),
    "a key of 900 letters": ("seed:", 900 * "s" + ":", "line 2: unknown key 'sssss"),
    "a key that is a list": ("seed: 3", "? [seed]\n: 3", "line 2: the config has a list or a mapping as a key"),
    "a text of 5,000 letters": ("64,", 5000 * "x" + ",", "line 12: training.batch_size is 'xxxxx"),
    "an escape beyond Unicode": ("flowers", r'"\UFFFFFFFF"', "line 1: cannot be read as YAML: an escape"),
    "half of a character": ("flowers", r'"\ud800"', r"line 1: name holds '\ud800'; no name or path can have that"),
    "a NUL in a path": ("data/train", r'"a\0b"', r"line 3: target.folder holds 'a\x00b'; no name or path can have that"),
    "half of a character in a key": ("seed:", r'"\ud800":', r"line 2: the config holds '\ud800'; no name or path"),
    "a bell": ("flowers", "\a", r"line 1: cannot be read as YAML: character '\x07' is not allowed"),
    "a version of 5,000 digits": ("name:", f"%YAML {5000 * '9'}.1\n---\nname:", "line 1: cannot be read as YAML"),
    "two documents": ("seed:", "---\nseed:", "cannot be read as YAML"),
    "100,000 letters": ("flowers", 100_000 * "x", "it has more than 65,536 characters"),
    "a home that is none": ("data/train", "~nobody-here/x", "line 3: target.folder: ~nobody-here is no user with a home"),
}  # fmt: skip


def refused(text, overrides=()):
    with pytest.raises(ConfigError) as raised:
        parse_experiment(text, overrides, name="a.yaml")
    assert str(raised.value).isprintable() and len(str(raised.value)) <= MOST
    return str(raised.value)


def test_the_text_that_is_mutilated_below_is_valid():
    assert parse_experiment(VALID).selection.delta == 0.1


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_text_is_refused_in_one_line_that_names_the_place(case):
    old, new, said = CASES[case]
    assert old in VALID
    message = refused(VALID.replace(old, new, 1))
    assert message.startswith("a.yaml") and said in message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=[1", "--set seed=[1: cannot be read as YAML: expected ',' or ']'"),
        ("se\x1b[31med\n=1", r"--set se\x1b[31med =1: unknown key 'se\x1b[31med\n'; did you mean 'seed'?"),
        ("seed=many", "--set seed=many: seed is 'many'; it must be a whole number"),
        ("seed=!!int x", "--set seed=!!int x: seed is 'x', which cannot be read as int"),
        ("seed=" + 5000 * "9", "seed is '9999"),
        ("a.a" + 9000 * ".a" + "=1", "it names a key more than 16 levels deep"),
        ("a..b=1", "--set a..b=1: it has no key"),
        ("source=null", "a.yaml with --set source=null: selection.mode is selective and there is no source"),
        ("training={lr_step: 3, schedule: cosine}", "--set training={lr_step: 3, schedule: cosine}: training: lr_step"),
        ("training.max_per_class=0", "--set training.max_per_class=0: training.max_per_class is 0; it must be greater"),
        ("test.folder=x", "a.yaml, line 4 with --set test.folder=x: test: a domain takes exactly one"),
    ],
)  # fmt: skip
def test_a_message_about_an_override_names_it(override, said):
    assert said in refused(VALID, [override])


def test_a_date_is_text():
    assert parse_experiment(VALID.replace("flowers", "2024-13-45")).name == "2024-13-45"
    again = parse_experiment(VALID.replace("flowers", "2024-01-02"))
    assert again.name == "2024-01-02" and parse_experiment(to_yaml(again)) == again


def test_an_alias_names_what_it_names():
    assert parse_experiment(VALID + "validation: *t\n").validation.folder == "data/train"


def test_a_file_without_end_is_refused():
    with pytest.raises(ConfigError, match="cannot be read|characters"):
        load_experiment("/dev/zero")


PIECES = [
    "[", "]", "{", "}", ":", ": ", "- ", "? ", "&a ", "*a", "*t", "!!bool ", "!!int ", "!!set ", "!x ", "%YAML 9\n",
    "---\n", "...\n", "|\n", ">\n", "'", '"', "\\", r'"\x0"', "\t", "\n", "\0", "\ufeff", "\x85", "#", ",", "null",
    "~", "true", ".nan", "-.inf", "1e400", "-1", "0", "0x_", "1:2:3", "2024-02-31", "9" * 30, "=", "<<", "é", "\u2028",
    "\ud800", "name", "union: ", "k0: ", "smoothing: ", "[[[[[[[[[[[[[[[[[[",
]  # fmt: skip


def mutilated(rng, text):
    """`text` with up to four of its pieces cut out, doubled, moved or replaced."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 1, 2, 5, 40)))
        other = rng.randrange(len(text) + 1)
        new = rng.choice((rng.choice(PIECES), "", 2 * text[start:end], text[other : other + 12]))
        text = text[:start] + new + text[end:]
    return text


def replaced_value(rng, text):
    """`text` with the value of one key replaced."""
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = lines[at].split(":")[0] + ": " + "".join(rng.choices(PIECES, k=rng.randint(1, 3)))
    return "\n".join(lines)


@pytest.mark.parametrize("mutate", [mutilated, replaced_value])
def test_mutilated_texts_end_as_experiments_or_in_one_line(mutate):
    rng, read = random.Random(0), 0
    for _ in range(500):
        text = mutate(rng, VALID)
        try:
            experiment = parse_experiment(text, name="a.yaml")
            assert isinstance(experiment, Experiment) and parse_experiment(to_yaml(experiment)) == experiment
            read += 1
        except ConfigError as error:
            assert str(error).startswith("a.yaml") and str(error).isprintable() and len(str(error)) <= MOST
    assert 10 < read < 490  # both ends are reached
