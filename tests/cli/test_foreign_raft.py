"""Raft's events as another language writes them: logs by hand, from docs/vocabulary.md and docs/recording.md alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

N1 = """
{"tracekit.version":1,"tracekit.run":{"system":"by hand","n":3,"claims":["raft.*","channel.delivery"]}}
{"process":"n1","kind":"internal","name":"raft.init","raft.term":0,"raft.role":"follower","raft.vote":"","raft.commit":0,"raft.last_index":0,"raft.last_term":0,"raft.voters":["n1","n2","n3"]}
{"process":"n1","kind":"internal","name":"raft.become_candidate","raft.term":1,"raft.role":"candidate","raft.vote":"n1"}
{"process":"n1","kind":"send","name":"raft.request_vote","message":"v1","peer":"n2","raft.message_term":1,"raft.message_index":0,"raft.message_log_term":0}
{"process":"n1","kind":"receive","name":"raft.request_vote_response","message":"v2","peer":"n2","raft.message_term":1,"raft.message_reject":false}
{"process":"n1","kind":"internal","name":"raft.become_leader","raft.role":"leader","raft.log_from":1,"raft.entry_terms":[1],"raft.entry_digests":["no-op"]}
{"process":"n1","kind":"internal","name":"raft.propose","raft.log_from":2,"raft.entry_terms":[1],"raft.entry_digests":["x=1"]}
{"process":"n1","kind":"send","name":"raft.append_entries","message":"a1","peer":"n2","raft.message_term":1,"raft.message_index":0,"raft.message_log_term":0,"raft.message_entries":2,"raft.message_commit":0}
{"process":"n1","kind":"receive","name":"raft.append_entries_response","message":"a2","peer":"n2","raft.message_term":1,"raft.message_reject":false,"raft.message_index":2}
{"process":"n1","kind":"internal","name":"raft.commit","raft.commit":2}
{"process":"n1","kind":"internal","name":"raft.apply","raft.apply_index":1,"raft.apply_term":1,"raft.apply_digest":"no-op"}
{"process":"n1","kind":"internal","name":"raft.apply","raft.apply_index":2,"raft.apply_term":1,"raft.apply_digest":"x=1"}
{"process":"n1","kind":"internal","name":"raft.take_snapshot","raft.snapshot_index":2,"raft.snapshot_term":1,"raft.snapshot_digest":"{x:1}"}
{"process":"n1","kind":"send","name":"raft.install_snapshot","message":"s1","peer":"n3","raft.message_term":1,"raft.message_index":2,"raft.message_log_term":1}
{"process":"n1","kind":"internal","name":"raft.change_configuration","raft.log_from":3,"raft.entry_terms":[1],"raft.entry_digests":["to n1 n3"],"raft.entry_configurations":["n1 n3 / n1 n2 n3"],"raft.voters":["n1","n3"],"raft.voters_outgoing":["n1","n2","n3"]}
{"process":"n1","kind":"receive","name":"raft.install_snapshot_response","message":"s2","peer":"n3","raft.message_term":1,"raft.message_index":2}
{"process":"n1","kind":"send","name":"raft.append_entries","message":"a3","peer":"n3","raft.message_term":1,"raft.message_index":2,"raft.message_log_term":1,"raft.message_entries":1,"raft.message_commit":2}
{"process":"n1","kind":"receive","name":"raft.append_entries_response","message":"a4","peer":"n3","raft.message_term":1,"raft.message_reject":false,"raft.message_index":3}
{"process":"n1","kind":"internal","name":"raft.commit","raft.commit":3}
{"process":"n1","kind":"internal","name":"raft.apply","raft.apply_index":3,"raft.apply_term":1,"raft.apply_digest":"to n1 n3"}
{"tracekit.complete":true}
"""  # noqa: E501

N2 = """
{"process":"n2","kind":"internal","name":"raft.init","raft.term":0,"raft.role":"follower","raft.vote":"","raft.commit":0,"raft.last_index":0,"raft.last_term":0,"raft.voters":["n1","n2","n3"]}
{"process":"n2","kind":"receive","name":"raft.request_vote","message":"v1","peer":"n1","raft.message_term":1,"raft.message_index":0,"raft.message_log_term":0,"raft.term":1,"raft.vote":"n1"}
{"process":"n2","kind":"send","name":"raft.request_vote_response","message":"v2","peer":"n1","raft.message_term":1,"raft.message_reject":false}
{"process":"n2","kind":"receive","name":"raft.append_entries","message":"a1","peer":"n1","raft.message_term":1,"raft.message_index":0,"raft.message_log_term":0,"raft.message_entries":2,"raft.message_commit":0,"raft.log_from":1,"raft.entry_terms":[1,1],"raft.entry_digests":["no-op","x=1"]}
{"process":"n2","kind":"send","name":"raft.append_entries_response","message":"a2","peer":"n1","raft.message_term":1,"raft.message_reject":false,"raft.message_index":2}
{"tracekit.complete":true}
"""

N3 = """
{"process":"n3","kind":"internal","name":"raft.init","raft.term":0,"raft.role":"follower","raft.vote":"","raft.commit":0,"raft.last_index":0,"raft.last_term":0,"raft.voters":["n1","n2","n3"]}
{"process":"n3","kind":"receive","name":"raft.install_snapshot","message":"s1","peer":"n1","raft.message_term":1,"raft.message_index":2,"raft.message_log_term":1,"raft.term":1,"raft.vote":"","raft.commit":2,"raft.snapshot_index":2,"raft.snapshot_term":1,"raft.snapshot_digest":"{x:1}"}
{"process":"n3","kind":"send","name":"raft.install_snapshot_response","message":"s2","peer":"n1","raft.message_term":1,"raft.message_index":2}
{"process":"n3","kind":"receive","name":"raft.append_entries","message":"a3","peer":"n1","raft.message_term":1,"raft.message_index":2,"raft.message_log_term":1,"raft.message_entries":1,"raft.message_commit":2,"raft.log_from":3,"raft.entry_terms":[1],"raft.entry_digests":["to n1 n3"],"raft.entry_configurations":["n1 n3 / n1 n2 n3"],"raft.voters":["n1","n3"],"raft.voters_outgoing":["n1","n2","n3"]}
{"process":"n3","kind":"send","name":"raft.append_entries_response","message":"a4","peer":"n1","raft.message_term":1,"raft.message_reject":false,"raft.message_index":3}
{"tracekit.complete":true}
"""  # noqa: E501

EVERY_RULE = {
    "commit-current-term", "commit-index-monotonic", "commit-quorum", "commit-stability", "configuration-change",
    "configuration-in-use", "election-safety", "leader-append-only", "leader-completeness", "leader-quorum",
    "log-matching", "one-vote-per-term", "snapshot-safety", "state-machine-safety", "term-monotonic", "vote-up-to-date",
}  # fmt: skip


def analyzed(tracekit: Run, tmp_path: Path, *logs: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the verdict of each check, of logs that are joined and then analysed."""
    for place, log in enumerate(logs, 1):
        (tmp_path / f"n{place}.jsonl").write_text(log.lstrip(), encoding="utf-8")
    done = tracekit("convert", "n1.jsonl", "n2.jsonl", "n3.jsonl", "-o", "run.parquet")
    assert done.returncode == 0, done.stderr
    done = tracekit("analyze", "run.parquet", "--format", "json")
    result = json.loads(done.stdout)
    return done.returncode, {check["check"]: check["verdict"] for check in result["checks"]}


def test_a_run_that_keeps_the_rules_holds(tracekit: Run, tmp_path: Path) -> None:
    code, verdicts = analyzed(tracekit, tmp_path, N1, N2, N3)
    assert {verdicts[f"raft.{rule}"] for rule in EVERY_RULE} == {"holds"}
    assert code == 0


@pytest.mark.parametrize(
    ("rule", "was", "becomes"),
    [
        ("commit-quorum", '"raft.message_index":2}\n{"process":"n1","kind":"internal","name":"raft.commit"', None),
        ("snapshot-safety", '"raft.snapshot_digest":"{x:1}"', '"raft.snapshot_digest":"{x:2}"'),
    ],
)  # fmt: skip
def test_a_run_that_breaks_a_rule_is_violated(
    tracekit: Run, tmp_path: Path, rule: str, was: str, becomes: str | None
) -> None:
    """n1's log tells another story: it commits entry 2 before n2 has it, or what `becomes` says."""
    if becomes is None:
        commit = '{"process":"n1","kind":"internal","name":"raft.commit","raft.commit":2}\n'
        lines = N1.replace(commit, "").splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if '"a1"' in line)
        broken = "".join([*lines[:at], commit, *lines[at:]])
    else:
        broken = N1.replace(was, becomes)
    assert broken != N1
    code, verdicts = analyzed(tracekit, tmp_path, broken, N2, N3)
    assert verdicts[f"raft.{rule}"] == "violated"
    assert code == 1
