"""Whatever a stranger sends, `safebench validate` says one thing about it, soon, in little memory.

Nothing here depends on how fast the machine is: memory is compared with that of an ordinary card,
time with that of the same shape at an eighth of its size.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from safebench.card.document import MAX_PROBLEMS
from safebench.card.io import load_document, parse_card, parse_document
from safebench.card.problems import LARGE
from safebench.card.read import MAX_BYTES, MAX_KEYS, MAX_NODES
from safebench.checks import check_document
from safebench.cli.reporters import text
from safebench.cli.validate import command
from tests.conformance.runner import VALID

PLAN = VALID / "minimal-plan.yaml"
ROOT = VALID.parents[3]
SIZE = MAX_BYTES - 64
PATIENCE = 120  # seconds: a safety net against hanging, not a measure
MOST_MEMORY = 8  # times that of an ordinary card; 4 MiB of lines of two characters need 5
PROGRAM = """
import pathlib, re, sys
from safebench.cli.main import main
try:
    main(sys.argv[1:])
finally:
    # Not ru_maxrss: a child inherits that of the process that started it.
    status = pathlib.Path("/proc/self/status")
    peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
    print(f"peak {peak}", file=sys.stderr)
"""
PROGRAM_OF_MANY = """
import contextlib, ctypes, gc, io, json, pathlib, re, sys
from safebench.cli.main import main
status, refs = pathlib.Path("/proc/self/status"), pathlib.Path("/proc/self/clear_refs")
for arguments in json.load(sys.stdin):
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
    gc.collect()
    if status.exists():
        ctypes.CDLL(None).malloc_trim(0)
        refs.write_text("5")  # the peak is counted from here
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            main(["validate", *arguments])
        except SystemExit as end:
            code = end.code
    peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    print(json.dumps([code, *texts, int(peak)]), flush=True)
"""
"""Runs the command many times: a start takes longer than most of what is tried."""
HEAD = re.compile(r"^\S.*?  SB-[A-Z]+-[0-9]{3}  (?:error|warning|note)", re.M)


@dataclass(frozen=True)
class Answer:
    code: int
    output: str
    errors: str
    peak: int

    @property
    def findings(self) -> int:
        return len(HEAD.findall(self.output))


def validate(*arguments: str | bytes | Path, **options: Any) -> Answer:
    """Run the command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", *arguments],
        cwd=options.pop("cwd", ROOT),
        env=os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {}),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )
    errors, _, peak = done.stderr.decode().rpartition("peak ")
    return _sound(Answer(done.returncode, done.stdout.decode(), errors, int(peak)))


def _sound(answer: Answer) -> Answer:
    assert "Traceback" not in answer.output + answer.errors
    assert all(c.isprintable() or c in "\n\t" for c in answer.output + answer.errors)
    return answer


def validate_each(arguments: list[list[str]], cwd: Path = ROOT) -> list[Answer]:
    """Run the command many times in one process, each with a peak of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM_OF_MANY],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=True,
    )
    return [_sound(Answer(*json.loads(line))) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def ordinary() -> Answer:
    answer = validate(PLAN)
    assert answer.code == 0
    return answer


# --- 4 MiB of what is slow or large to read -----------------------------------------------------

VALUES = f"more than {MAX_NODES:,} keys and values"
KEYS = f"more than {MAX_KEYS:,} keys in one mapping"
SHAPES: dict[str, tuple[Callable[[], bytes], str]] = {
    "flow list": (lambda: b"[" + b"1," * (SIZE // 2) + b"1]", VALUES),
    "block list": (lambda: b"- 1\n" * (SIZE // 4), VALUES),
    "empty lists": (lambda: b"[" + b"[]," * (SIZE // 3) + b"1]", VALUES),
    "no numbers": (lambda: b"[" + b".nan," * (SIZE // 5) + b"1]", VALUES),
    "one key": (lambda: b"a: 1\n" * (SIZE // 5), VALUES),
    "merge keys": (lambda: b"<<: 1\n" * (SIZE // 6), VALUES),
    "deep lists": (
        lambda: b"[" + (b"[" * 60 + b"1" + b"]" * 60 + b",") * (SIZE // 130) + b"1]",
        VALUES,
    ),
    "short keys": (lambda: b"".join(b"%x:\n" % n for n in range(SIZE // 8)), KEYS),
    "fields of a card": (
        lambda: b"spec: safebench/1.0\n" + b"".join(b"%x:\n" % n for n in range(SIZE // 8)),
        KEYS,
    ),
    "flow brackets": (lambda: b"[" * SIZE, "nested deeper than 64"),
    "flow braces": (lambda: b'{"a":' * (SIZE // 5), "nested deeper than 64"),
    "block dashes": (lambda: b"- " * (SIZE // 2), "nested deeper than 64"),
    "block keys": (lambda: b"? " * (SIZE // 2), "a list or mapping as a key"),
    "key of 1 MB": (lambda: b"? " + b"x" * 1_000_000 + b"\n: 1", "a key of 1,000,000 characters"),
    "plain key of 1 MB": (lambda: b"x" * 1_000_000 + b": 1", "not YAML"),
    "tag": (lambda: b"a: !" + b"x" * SIZE + b" 1", "found the tag !xxx"),
    "anchor": (lambda: b"a: &" + b"x" * SIZE + b" 1", "found the anchor &xxx"),
    "directive": (lambda: b"%" + b"x" * SIZE + b"\n---\n1", "not YAML"),
    "tabs": (lambda: b"\t" * SIZE + b"a", "not YAML"),
    "blank lines": (lambda: b"\n" * SIZE, "the file is empty"),
    "comments": (lambda: b"# x\n" * (SIZE // 4), "the file is empty"),
    "colons": (lambda: b"a:" * (SIZE // 2), "not YAML"),
    "long text": (lambda: b'spec: "' + b"x" * SIZE + b'"', 'found the text "xxx'),
    "long line": (lambda: b"spec: " + b" " * SIZE + b"1", "found 1, expected a version"),
    "folded text": (lambda: b"spec: >\n" + b" x\n" * (SIZE // 3), 'found the text "x x'),
    "escapes": (lambda: b'spec: "' + b"\\n" * (SIZE // 2) + b'"', r'found the text "\n\n'),
    "pairs of escapes": (
        lambda: b'{"spec": "' + rb"\ud83d\ude00" * (SIZE // 12) + b'"}',
        'found the text "\U0001f600',
    ),
    "half pairs": (lambda: b'{"spec": "' + rb"\ud83d" * (SIZE // 6) + b'"}', "not YAML"),
    "line breaks of YAML 1.1": (
        lambda: b" " * (SIZE // 2) + b'{"spec": "' + "\u2028".encode() * (SIZE // 6) + b'"}',
        r'found the text "\u2028',
    ),
    "number": (lambda: b"spec: " + b"9" * 1_000_000, "an integer of 1000000 digits"),
    "fraction": (lambda: b"spec: 0." + b"9" * 1_000_000, "larger than any finite number"),
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("shapes")
    for name, (make, _) in SHAPES.items():
        (folder / f"{name}.yaml").write_bytes(make()[: MAX_BYTES - 1])
    answers = validate_each([[f"{name}.yaml"] for name in SHAPES], folder)
    shutil.rmtree(folder)
    return dict(zip(SHAPES, answers, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_four_mebibytes_end_in_one_message(
    name: str, shapes: dict[str, Answer], ordinary: Answer
) -> None:
    answer = shapes[name]
    assert SHAPES[name][1] in answer.output
    assert answer.code in (1, 2)
    assert answer.findings <= 2  # a number that is none, and a version that is none
    assert len(answer.output) < 3_000
    assert answer.peak <= MOST_MEMORY * ordinary.peak


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAN.read_text().encode("utf-16"), "byte 0xff is not UTF-8"),
        (PLAN.read_text().encode("utf-16-le"), "control characters"),
        (PLAN.read_text().encode("utf-32"), "byte 0xff is not UTF-8"),
        ("titre: é".encode("latin-1"), "byte 0xe9 is not UTF-8"),
        (b"a: \xed\xa0\x80", "byte 0xed is not UTF-8"),
        (b"a: \x00", "control characters"),
        (b"\xef\xbb\xbf\xef\xbb\xbfspec: x", 'found the text "x"'),
        (b"a:\n\t- 1", "not YAML"),
        (b"a: !!python/object/apply:os.system [id]", "found the tag"),
        (b"a: !!binary aGk=", "found the tag"),
        (b"%TAG ! tag:evil,2000:\n---\na: !x 1", "found the tag"),
        (b"%YAML 9.9\n---\na: 1", "not YAML"),
        (b"a: &a [x]\nb: [*a, *a]", "found the anchor"),
        (b"base: &b {x: 1}\n<<: *b", "found the anchor"),
        (b"a: 1\n---\nb: 1", "second document"),
        (b"", "the file is empty"),
        (b"---\n...\n", "found null"),
        (b"? {a: 1}\n: 1", "a list or mapping as a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:12].hex(),
)
def test_what_is_no_plain_data_ends_in_one_message(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(text)
    result = CliRunner().invoke(command, [str(path)])
    assert said in result.output
    assert result.exit_code in (1, 2)
    assert len(HEAD.findall(result.output)) == 1


# --- more problems than anybody reads -----------------------------------------------------------


def complete() -> dict[str, Any]:
    data: dict[str, Any] = load_document(VALID / "complete-plan.yaml").data
    return data


def wrong_scores(number: int) -> dict[str, Any]:
    return complete() | {"results": {"primary": [], "scores": [{}] * number, "changes": []}}


def test_problems_of_structure_are_listed_up_to_a_bound_that_is_said() -> None:
    _, problems = parse_card(parse_document(json.dumps(wrong_scores(200)).encode(), "card.json"))
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == (
        "more than 1,000 problems of structure: the others are not listed"
    )


def test_duplicate_keys_are_listed_up_to_the_same_bound() -> None:
    text = "spec: safebench/1.0\n" + "a: 1\n" * 2_000
    document = parse_document(text.encode(), "card.yaml")
    assert [p.rule for p in document.problems].count("SB-CARD-005") == MAX_PROBLEMS
    assert len(document.problems) == MAX_PROBLEMS + 1
    _, problems = parse_card(document)
    assert sum("not listed" in p.message for p in problems) == 1


def test_of_a_large_document_the_first_wrong_item_of_each_list_is_explained() -> None:
    data = wrong_scores(LARGE)
    data["tasks"] = [[], []]
    _, problems = parse_card(parse_document(json.dumps(data).encode(), "card.json"))
    assert "of each list, only the first wrong item is listed" in problems[0].message
    scores = {p.pointer[2] for p in problems if p.pointer[:2] == ("results", "scores")}
    assert scores == {0}
    assert ("tasks", 0) in [p.pointer for p in problems]
    assert ("tasks", 1) not in [p.pointer for p in problems]


def test_a_large_card_that_is_right_is_read() -> None:
    data = complete()
    data["decoding"] = [
        {**data["decoding"][0], "name": f"n{number}"}
        for number in range(1 + LARGE // len(data["decoding"][0]))
    ]
    document = parse_document(json.dumps(data).encode(), "card.json")
    assert len(document.values) > LARGE
    card, problems = parse_card(document)
    assert card is not None
    assert problems == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [LARGE // 3, MAX_NODES - 1_000])
def test_a_card_of_wrong_items_is_bounded(number: int, tmp_path: Path, ordinary: Answer) -> None:
    (tmp_path / "card.json").write_text(json.dumps(wrong_scores(number)))
    answer = validate("card.json", cwd=tmp_path)
    assert answer.code == 1
    assert answer.findings <= MAX_PROBLEMS
    assert answer.peak <= MOST_MEMORY * ordinary.peak


def test_a_person_is_shown_the_worst_hundred_findings_and_told_of_the_others(
    tmp_path: Path,
) -> None:
    data = complete()
    data["tasks"] = ["safebench_harm"] * 300
    path = tmp_path / "card.json"
    path.write_text(json.dumps(data))
    result = CliRunner().invoke(command, [str(path)])
    every = json.loads(CliRunner().invoke(command, [str(path), "--format", "json"]).output)
    findings = every["files"][0]["findings"]
    assert [f["rule"] for f in findings].count("SB-TASK-002") == 299
    assert len(HEAD.findall(result.output)) == 100
    assert f"{path}: {len(findings) - 100} more findings; --format json lists every one." in (
        result.output
    )
    assert "warning" not in {m.split()[-1] for m in HEAD.findall(result.output)}


# --- time grows with size, and no faster --------------------------------------------------------


def checkpoints(number: int) -> dict[str, Any]:
    data = complete()
    data["hyperparameters"]["checkpoints"] = list(range(number, 0, -1))
    return data


def decodings_of_one_name(number: int) -> dict[str, Any]:
    data = complete()
    names = [f"n{n % (number // 2)}" for n in range(number)]
    first = data["decoding"][0]
    data["decoding"] = [
        {**first, "name": name, "max_new_tokens": 1 + n % (number // 2)}
        for n, name in enumerate(names)
    ]
    return data


def estimands_of_nothing(number: int) -> dict[str, Any]:
    data = decodings_of_one_name(number)
    primary = {"decoding": "nowhere", "judge": "nobody", "checkpoint": 99}
    data["tasks"] = [{"name": f"t{n}", "primary": primary} for n in range(number)]
    return data


def judges(number: int) -> dict[str, Any]:
    data = complete()
    data["judge"] = [copy.deepcopy(data["judge"][0]) for _ in range(number)]
    return data


def wrong_settings(number: int) -> dict[str, Any]:
    data = complete()
    data["environment"] = {"libraries": {f"l{n}": n for n in range(number)}}
    return data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "number"),
    [
        (checkpoints, 4_000),
        (decodings_of_one_name, 400),
        (estimands_of_nothing, 200),
        (judges, 200),
        (wrong_settings, 120),
    ],
)
def test_checking_and_showing_takes_time_in_proportion(
    make: Callable[[int], dict[str, Any]], number: int
) -> None:
    """Eight times as much takes eight times as long; 24 is far from that and from 64."""

    def seconds(size: int) -> float:
        document = parse_document(json.dumps(make(size)).encode(), "card.json")  # in one line
        taken = []
        for _ in range(2):
            start = time.process_time()
            report = check_document(document, None)
            text.render([report])
            taken.append(time.process_time() - start)
            assert report.findings
        return min(taken)

    seconds(8)  # what is built at first use
    assert seconds(8 * number) <= 24 * seconds(number)


def test_no_message_grows_with_what_is_declared() -> None:
    for data in (checkpoints(5_000), estimands_of_nothing(500)):
        report = check_document(parse_document(json.dumps(data).encode(), "card.json"), None)
        assert len(report.findings) > 400
        assert max(len(f.message) + len(f.fix) for f in report.findings) < 500


# --- what is no file, or is one of endless size -------------------------------------------------


@pytest.mark.slow
def test_a_file_of_a_gigabyte(tmp_path: Path, ordinary: Answer) -> None:
    with (tmp_path / "card.yaml").open("wb") as file:
        file.truncate(1024**3)
    for path in (tmp_path, tmp_path / "card.yaml"):
        answer = validate(path)
        assert (answer.code, answer.findings) == (2, 1)
        assert "larger than 4 MiB" in answer.output
        assert answer.peak <= MOST_MEMORY * ordinary.peak


@pytest.mark.slow
def test_an_endless_stream_is_not_read_to_its_end() -> None:
    reader, writer = os.pipe()
    written = 0

    def feed() -> None:
        nonlocal written
        try:
            while written < 1024**3:
                written += os.write(writer, b"\0" * 65_536)
        except BrokenPipeError:
            pass
        finally:
            os.close(writer)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        answer = validate("-", stdin=reader)
    finally:
        os.close(reader)  # the last reader: the writer ends
        thread.join()
    assert (answer.code, answer.findings) == (2, 1)
    assert "larger than 4 MiB" in answer.output
    assert written <= MAX_BYTES + 1024**2 + 65_536  # a pipe holds at most 1 MiB


@pytest.mark.slow
def test_standard_input_that_is_closed_or_empty() -> None:
    answer = validate("-", preexec_fn=lambda: os.close(0))
    assert (answer.code, answer.findings) == (2, 1)
    assert "standard input is closed" in answer.output
    answer = validate("-", stdin=subprocess.DEVNULL)
    assert (answer.code, answer.findings) == (2, 1)
    assert "the file is empty" in answer.output


@pytest.mark.slow
def test_what_is_no_file_is_said_for_each_and_the_rest_is_checked(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "broken.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "folder" / "card.yaml").mkdir(parents=True)
    (tmp_path / "card.yaml").write_bytes(PLAN.read_bytes())
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket has at most 100 characters
        try:
            server.bind("socket.yaml")
        finally:
            os.chdir(here)
        said = {
            "pipe.yaml": "is not a regular file",
            "broken.yaml": "a symbolic link to nothing",
            "loop.yaml": "cannot be opened",
            "folder/card.yaml": "there is no card in this folder",
            "socket.yaml": "cannot be opened",
            "/dev/null": "is not a regular file",
            "/dev/zero": "is not a regular file",
            "x" * 5_000: "cannot be read",
            "card.yaml/card.yaml": "cannot be opened",
        }
        answer = validate(*said, "card.yaml", cwd=tmp_path)
    assert answer.code == 2
    assert answer.findings == len(said)
    for name, words in said.items():
        assert re.search(
            rf"^{re.escape(name)}  SB-READ-001  error\n   .*{words}", answer.output, re.M
        )
    assert "\ncard.yaml: 0 errors" in answer.output


# --- folders and names --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_that_cannot_be_listed_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "card.yaml").write_bytes(PLAN.read_bytes())
    listing = os.scandir

    def denied(path: Any) -> Any:  # file modes do not stop root
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", denied)
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert result.exit_code == 2
    assert "Permission denied" in result.output
    assert f"{tmp_path / 'card.yaml'}: 0 errors" in result.output


@pytest.mark.slow
def test_two_thousand_files_and_a_card_two_hundred_folders_down(tmp_path: Path) -> None:
    for number in range(2_000):
        (tmp_path / f"{number}.yaml").write_text("spec: openapi/3.0\n")
    deep = tmp_path.joinpath(*["d"] * 200)
    deep.mkdir(parents=True)
    (deep / "card.yaml").write_bytes(PLAN.read_bytes())
    answer = validate(tmp_path)
    assert (answer.code, answer.findings) == (0, 0)
    assert answer.output.startswith("0 errors")


NAMES = [
    b"new\nline.yaml",
    b"esc\x1b[2J\x07.yaml",
    "right\u202eleft.yaml".encode(),
    b"\xff\xfe.yaml",
]


@pytest.mark.slow
def test_names_of_files_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    for name in NAMES:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"spec: safebench/1.0\n")
    names = [os.fsdecode(name) for name in (*NAMES, b"nothing" + NAMES[-1])]
    forms = ("text", "json", "github", "sarif")
    answers = validate_each([["--format", form, *names] for form in forms], tmp_path)
    for form, answer in zip(forms, answers, strict=True):
        assert answer.code == 2
        assert answer.output.isascii()
        if form in ("json", "sarif"):
            json.loads(answer.output)
        else:
            assert r"new\nline.yaml" in answer.output
            assert r"\udcff\udcfe.yaml" in answer.output


@pytest.mark.slow
def test_a_terminal_that_lacks_characters_is_given_escapes(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(PLAN.read_text().replace("loss_on: completion", "loss_on: ☃"))
    plain = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    answer = validate(path, env=plain)
    assert answer.code == 1
    assert r"\u2603" in answer.output


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_defect() -> None:
    """As `safebench validate FOLDER | head -1` does it."""
    arguments = [sys.executable, "-m", "safebench.cli.main", "validate", str(VALID)]
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert b"Traceback" not in errors
    assert len(errors.splitlines()) <= 1
