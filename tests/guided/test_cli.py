"""The command line: answers on stdout, problems on stderr with exit code 2, "no" with exit code 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from guided import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """`run("check", schema, ...)` -> exit code, stdout, stderr; a schema is written to a file first."""

    def call(command: str, schema: Any, *arguments: str) -> tuple[int, str, str]:
        if schema is not None:
            path = tmp_path / "schema.json"
            path.write_text(schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8")
            arguments = ("--schema", str(path), *arguments)
        monkeypatch.setattr(sys, "argv", ["guided", command, *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_check_of_a_schema_alone(run: Any) -> None:
    code, out, err = run("check", PERSON)
    assert code == 0 and "compiles" in out and not err


@pytest.mark.parametrize(
    ("document", "code", "expected"),
    [
        ('{"age": 3,\n "name": "Bo"}', 0, "satisfies"),
        ('{"name": "Bo", "age": -1}', 1, "line 1, column 24"),  # a document may say -0
        ('{"name": "Bo", "age": "1"}', 1, "line 1, column 23"),
        ('{"name": "Bo",\n  "size": 1}', 1, "line 2, column 4"),
        ('{"name": "Bo"', 1, "stops too early"),
    ],
)
def test_check_of_a_document(run: Any, tmp_path: Path, document: str, code: int, expected: str) -> None:
    path = tmp_path / "document.json"
    path.write_text(document, encoding="utf-8")
    got, out, _ = run("check", PERSON, str(path))
    assert (got, expected in out) == (code, True), out


def test_a_refused_document_shows_place_and_alternatives(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text('{"name": "Bo", "age": "x"}', encoding="utf-8")
    _, out, _ = run("check", PERSON, str(path))
    lines = out.splitlines()
    assert lines[2].index('"x"') == lines[3].index("^")
    assert "possible here:" in out and "jsonschema says: at $.age: type" in out


def test_an_impossible_schema_is_named_on_stderr(run: Any) -> None:
    code, out, err = run("check", {"type": "integer", "minimum": 3, "maximum": 2})
    assert code == 2 and err.startswith("UnsatisfiableSchema: ") and "compiles" not in out


@pytest.mark.parametrize(
    ("schema", "says"),
    [("{", "is not JSON"), (None, "cannot read")],
)
def test_files_that_cannot_be_used(run: Any, schema: str | None, says: str) -> None:
    extra = () if schema is not None else ("--schema", "nowhere.json")
    code, _, err = run("check", schema, *extra)
    assert code == 2 and says in err


def test_explain_says_what_is_forced_and_possible(run: Any) -> None:
    code, out, _ = run("explain", PERSON, "--prefix", '{"n')
    assert code == 0 and 'must follow: ame":' in out
    code, out, _ = run("explain", PERSON, "--prefix", '{"x')
    assert code == 1 and "column 3" in out and "possible here: n" in out


def test_explain_and_check_name_the_keyword_that_bans(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("explain", PERSON, "--prefix", '{"x')
    assert code == 1 and 'banned by "additionalProperties": false at /additionalProperties' in out
    document = tmp_path / "document.json"
    document.write_text('{"name": 1}', encoding="utf-8")
    code, out, _ = run("check", PERSON, str(document))
    assert code == 1 and 'banned by "type": "string" at /properties/name/type' in out
    document.write_text('{"name": "a"', encoding="utf-8")
    assert "the document is incomplete" in run("check", PERSON, str(document))[1]


def test_explain_says_when_a_document_may_end(run: Any) -> None:
    code, out, _ = run("explain", {"type": "boolean"}, "--prefix", "true")
    assert code == 0 and "may end here" in out and "nothing more" in out


def test_explain_of_a_token_needs_a_vocabulary(run: Any) -> None:
    code, _, err = run("explain", PERSON, "--token", "5")
    assert code == 2 and "--tokenizer" in err


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([ord("a")], "a"),
        ([*range(ord("0"), ord("9") + 1), ord("-")], "0..9"),
        ([10, 32], "newline  space"),
        ([0xE0, 0xF0], "0xe0  0xf0"),
        (list(range(256)), "anything"),
    ],
)
def test_bytes_for_a_reader(values: list[int], shown: str) -> None:
    assert shown in cli.show_bytes(values)


def test_train_heads_is_reached(run: Any, tmp_path: Path) -> None:
    """The options of the command are those of its module; a model that is not there is one message."""
    code, out, _ = run("train-heads", None, "--help")
    assert code == 0 and "--write-minutes" in out
    code, _, err = run("train-heads", None, "--out", str(tmp_path / "heads"), "--model", str(tmp_path / "nothing"))
    assert code == 2 and "TrainingProblem" in err


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [("a-b-c", 0, "belongs"), ("a-", 1, "too early"), ("a-b+c", 1, "line 1, column 4"), (None, 0, "never used")],
)
def test_grammar_of_a_text(run: Any, tmp_path: Path, content: str | None, code: int, expected: str) -> None:
    file, text = tmp_path / "list.lark", tmp_path / "text"
    file.write_text('start: LETTER ("-" LETTER)*\nspare: "x"\nLETTER: "a".."z"\n')
    if content is not None:
        text.write_text(content)
    found, out, _ = run("grammar", None, str(file), *([] if content is None else [str(text)]))
    assert found == code and expected in out and "compiles" in out


def test_a_broken_grammar_says_where(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "broken.gbnf"
    file.write_text('root ::= "a\n')
    code, _, err = run("grammar", None, str(file))
    assert code == 2 and "GrammarError" in err and "line 1, column 10" in err
