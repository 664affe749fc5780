"""Security scan: bandit, ours, with our configuration; medium and high severity at medium or high confidence."""

from __future__ import annotations

import json

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change, python_tool
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, is_test, judge_scan, run_tool
from worksite.validator.tree import Tree

NAME = "security"
_STATEMENTS = "from bandit.cli.main import main; sys.argv = ['bandit', *{arguments!r}]; main()"


async def security(bench: Bench, change: Change) -> Judged:
    """New findings outside the tests fail."""

    async def scan(tree: Tree) -> Scan:
        config = bench.tools.program("bandit.ini")  # else bandit obeys a .bandit file of the candidate
        arguments = ["--ini", str(config), "-r", ".", "-f", "json", "-q", "-ll", "-ii"]
        argv = python_tool(bench, [bench.tools.bandit], _STATEMENTS.format(arguments=arguments))
        outcome = await run_tool(bench, tree, argv, [bench.tools.bandit, config])
        document = json.loads(outcome.stdout)
        silenced = document["metrics"]["_totals"]["nosec"]
        found = (_finding(each) for each in document["results"])
        note = f"{silenced} lines silenced by `# nosec`" if silenced else ""
        return Scan(tuple(each for each in found if not is_test(each.path or "")), note)

    return await judge_scan(change, scan)


def _finding(entry: dict[str, object]) -> Finding:
    message = f"{entry['test_id']} {entry['issue_text']} ({str(entry['issue_severity']).lower()} severity)"
    path = str(entry["filename"]).removeprefix("./")
    return Finding(check=NAME, message=message, path=path, line=int(str(entry["line_number"])))
