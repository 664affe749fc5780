"""Render one Copier template; a program of its own, run by `templates.py`.

A process, not a thread: Copier changes the working directory while it looks for version control, and a template that
never ends can only be stopped by ending its process. Standard input: `{template, destination, parameters}` as JSON.
"""

from __future__ import annotations

import json
import sys

REFUSED = 3
"""Exit status when the template or its parameters are at fault; standard error says how."""


def main() -> None:
    """Render into the destination, which may hold nothing that the template writes."""
    from copier import Settings, run_copy  # here, because templates.py imports this module for its constant only
    from copier.errors import CopierError
    from jinja2 import TemplateError

    order = json.load(sys.stdin)
    try:
        run_copy(
            order["template"],
            order["destination"],
            data=order["parameters"],
            defaults=True,
            overwrite=False,
            quiet=True,
            settings=Settings(),  # not the user's, who may trust templates that run commands
            unsafe=False,
        )
    except (CopierError, TemplateError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
