"""`tfrec online` prints, writes and fails as its help says."""

from __future__ import annotations

import json
import math
import re

import pytest

from tfrec.cli import main
from tfrec.online.page import page
from tfrec.online.results import OnlineReport


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A simulated log and what the command wrote of it."""
    folder = tmp_path_factory.mktemp("command")
    output = str(folder / "out")
    assert main(["online", str(folder / "logs"), "--simulate", "300", "--output", output]) == 0
    return folder


def test_json_and_page_hold_the_figures(logs, capsys):
    """online.json is what --json prints, and reads back; the page shows verdict and estimates."""
    test = str(logs / "logs" / "experiment.yaml")
    assert main(["online", str(logs / "logs"), "--experiment", test, "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed == (logs / "out" / "online.json").read_text()
    found = OnlineReport.model_validate_json(printed)
    html = (logs / "out" / "online.html").read_text()
    assert found.experiments[0].verdicts[0].split(":")[1].split("(")[0].strip() in html
    assert f"{found.policies[0].estimates[1].value:.4f}" in html
    assert "doubly robust" in html


def test_the_page_needs_nothing_from_elsewhere(logs):
    """No script, no link, and names from a log can't become markup."""
    html = (logs / "out" / "online.html").read_text()
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|<link|src=", html)
    found = OnlineReport.model_validate_json((logs / "out" / "online.json").read_text())
    nasty = found.model_copy(update={"notes": ["<b>x</b>"]})
    policy = found.policies[0].model_copy(update={"name": "<i>"})
    html = page(nasty.model_copy(update={"policies": [policy]}))
    assert "<b>x" not in html and "<i>" not in html


def test_a_log_of_one_user_has_no_interval(tmp_path, capsys):
    """Words in the table, null in JSON, and the file still reads back."""
    event = {"type": "impression", "request_id": "r", "user_id": "u", "timestamp": 5}
    chances = {"propensities": [0.5], "targets": {"new": {"propensities": [0.25]}}}
    log = tmp_path / "a.jsonl"
    log.write_text(json.dumps({**event, "items": ["x"], **chances}))
    assert main(["online", str(log), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "[too few users]" in printed and "nan" not in printed
    text = (tmp_path / "out" / "online.json").read_text()
    assert "NaN" not in text
    assert math.isnan(OnlineReport.model_validate_json(text).metrics[0].low)
    assert "[too few users]" in (tmp_path / "out" / "online.html").read_text()


def test_the_table_tells_what_was_left_out(tmp_path, capsys):
    """One line a reason, with the count of all."""
    event = {"type": "impression", "request_id": "r", "user_id": "u", "timestamp": 5, "items": []}
    log = tmp_path / "a.jsonl"
    log.write_text(f"{json.dumps(event)}\n{json.dumps(event)}\nnonsense\n")
    assert main(["online", str(log)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("left out, 2 in all:")
    assert re.match(r"  .*a\.jsonl:3: once lines that aren't an event", lines[at + 1])
    assert re.match(r"  .*a\.jsonl:2: once impressions whose request id", lines[at + 2])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["gone"], 2, "must exist"),
        (["gone", "--clip", "0"], 2, "--clip"),
        (["gone", "--experiment", "gone.yaml"], 2, "gone.yaml"),
        (["one", "two", "--simulate", "50"], 2, "--simulate"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, words, status, said):
    """Where, the rule, what was received."""
    monkeypatch.chdir(tmp_path)
    assert main(["online", *words]) == status
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_sample_ratio_mismatch_stops_the_verdict(tmp_path, capsys):
    """Eight hundred against five hundred users: whatever the effect, it is not to be believed."""
    lines = []
    for number in range(1_300):
        user, variant = f"u{number}", "control" if number < 800 else "treatment"
        common = {"user_id": user, "timestamp": 10}
        lines.append({"type": "exposure", "experiment": "e", "variant": variant, **common})
        lines.append({"type": "impression", "request_id": user, "items": ["x"], **common})
        if number % 2 or variant == "treatment":
            click = {"type": "feedback", "request_id": user, "event": "click", "item": "x"}
            lines.append({**click, "timestamp": 11})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "e.yaml").write_text("name: e\nguardrails: [{metric: latency}]\n")
    words = ["online", str(tmp_path), "--experiment", str(tmp_path / "e.yaml"), "--json"]
    assert main(words) == 0
    test = json.loads(capsys.readouterr().out)["experiments"][0]
    assert test["sample_ratio_mismatch"]
    assert test["effects"][0]["always"]["low"] > 0
    assert "not to be believed" in test["verdicts"][0]
