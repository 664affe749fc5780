"""The one line a task ends with, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXIT_OK, EXIT_FAILED, EXIT_NEEDS_INPUT, EXIT_ENVIRONMENT = 0, 1, 3, 4
"""2 is left to wrong usage, which every command line tool ends with."""
NEEDS_INPUT = "needs_input.md"


def conclusion(view: dict[str, Any], out: Path | None) -> tuple[str, int]:
    """`PASS task=… out=…` and its exit code. PASS is said only of a task whose verdict is PASS."""
    word, code = outcome(view)
    return f"{word} task={view['id']}" + (f" out={out}" if out else ""), code


def outcome(view: dict[str, Any]) -> tuple[str, int]:
    """The word for how a task ended, and its exit code."""
    status, verdict = view["status"], view["verdict"]
    if status == "needs_input":
        return "NEEDS_INPUT", EXIT_NEEDS_INPUT
    if status == "completed" and verdict == "PASS":
        return "PASS", EXIT_OK
    if status == "completed" and verdict is None:  # routes design and question end without a verdict
        return "DONE", EXIT_OK
    if status == "cancelled":
        return "CANCELLED", EXIT_FAILED
    if verdict == "ENVIRONMENT":
        return "ENVIRONMENT", EXIT_ENVIRONMENT
    return "FAIL", EXIT_FAILED


def documents(view: dict[str, Any]) -> dict[str, str]:
    """What the task has to say besides its artifacts: an answer, or what it needs to know. File name -> text."""
    said: dict[str, str] = {}
    if answer := view.get("answer"):
        said["answer.md"] = str(answer["text"]) + "\n"
    if view.get("question"):
        said[NEEDS_INPUT] = "\n".join(explanation(view)) + "\n"
    return said


def explanation(view: dict[str, Any]) -> list[str]:
    """The answer, or why it did not pass, in lines a person can act on."""
    lines = [str(view["reason"])] if view.get("reason") else []
    delivered = view.get("delivered")
    if delivered and delivered["merge_request"]:
        state = delivered.get("merge_request_state")
        ended = f" ({state})" if state in ("merged", "closed") else ""
        lines.append(f"merge request: {delivered['merge_request']}{ended}")
    if answer := view.get("answer"):
        lines = str(answer["text"]).splitlines()
    question = view.get("question")
    if question:
        lines = [str(question["reason"])]
        lines += [f"  covered:     {text}" for text in question["covered"]]
        lines += [f"  not covered: {text}" for text in question["missing"]]
        lines += [str(question["hint"])]
    return lines


def awaited(approval: dict[str, Any]) -> list[str]:
    """What an approver's word allows, in lines: all that its digest covers."""
    planned = approval.get("delivery")
    if not planned:
        return [f"digest:         {approval['digest']}"]
    title, into = planned["title"] or "the task's id", planned["into"] or "the default branch"
    opened = f"{title!r}, into {into}" if planned["merge_request"] else "none"
    return [
        f"push to:        {planned['remote']}",
        f"a new branch:   {planned['branch']}",
        f"at the commit:  {planned['head_sha']}, based on {planned['base_sha']}",
        f"of the bundle:  {planned['bundle']}",
        f"merge request:  {opened}",
        f"digest:         {approval['digest']}",
    ]
