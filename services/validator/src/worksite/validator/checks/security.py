"""Security scan: bandit, ours, with our configuration; medium and high severity at medium or high confidence."""

from __future__ import annotations

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change, python_tool
from worksite.validator.checks.result import Judged
from worksite.validator.checks.testing import test_files
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.domain.untrusted import read_json
from worksite.validator.tree import Tree

NAME = "security"
_STATEMENTS = "from bandit.cli.main import main; sys.argv = ['bandit', *{arguments!r}]; main()"

_EXCLUDED = "./.git/"
"""Bandit's own list leaves out whatever has `CVS` or `.svn` anywhere in its path; no tree has this one."""


async def security(bench: Bench, change: Change) -> Judged:
    """New findings outside the tests fail."""

    async def scan(tree: Tree) -> Scan:
        config = bench.tools.program("bandit.ini")  # else bandit obeys a .bandit file of the candidate
        arguments = ["--ini", str(config), "-x", _EXCLUDED, "-r", ".", "-f", "json", "-q", "-ll", "-ii"]
        argv = python_tool(bench, [bench.tools.bandit], _STATEMENTS.format(arguments=arguments))
        outcome = await run_tool(bench, tree, argv, [bench.tools.bandit, config])
        document = read_json(outcome.stdout)
        silenced = document["metrics"]["_totals"]["nosec"]
        found = (*map(_finding, document["results"]), *map(_unread, document["errors"]))
        note = f"{silenced} lines silenced by `# nosec`" if silenced else ""
        tests = test_files(tree)
        return Scan(tuple(each for each in found if each.path not in tests), note)

    return await judge_scan(NAME, change, scan)


def _finding(entry: dict[str, object]) -> Finding:
    message = f"{entry['test_id']} {entry['issue_text']} ({str(entry['issue_severity']).lower()} severity)"
    path = str(entry["filename"]).removeprefix("./")
    return Finding(check=NAME, message=message, path=path, line=int(str(entry["line_number"])))


def _unread(entry: dict[str, object]) -> Finding:
    message = f"bandit could not read this file: {entry['reason']}"
    return Finding(check=NAME, message=message, path=str(entry["filename"]).removeprefix("./"))
