"""Generate the JSON Schemas of all messages: `python -m worksite.common.schemas [--check] DIRECTORY`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from worksite.common.messages import MESSAGES, AgentReply, Model


def documents() -> dict[str, str]:
    """File name -> schema document, byte-equal from run to run."""
    named: dict[str, type[Model]] = {message.tag(): message for message in MESSAGES}
    named["agent_reply"] = AgentReply
    return {f"{name}.json": _document(name, model) for name, model in sorted(named.items())}


def _document(name: str, model: type[Model]) -> str:
    schema = model.model_json_schema(mode="validation")
    schema["$id"] = f"worksite:v1:{name}"
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def stale(directory: Path) -> list[str]:
    """Files that differ from what the models say, are missing, or should not be there."""
    wanted = documents()
    present = {path.name: path.read_text() for path in directory.glob("*.json")}
    return sorted(name for name in wanted | present if wanted.get(name) != present.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--check", action="store_true", help="fail instead of writing")
    arguments = parser.parse_args()
    changed = stale(arguments.directory)
    if arguments.check:
        sys.exit(f"stale schemas, run make schemas: {', '.join(changed)}" if changed else 0)
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in changed:
        (arguments.directory / name).unlink(missing_ok=True)
    for name, text in documents().items():
        (arguments.directory / name).write_text(text)
    print(f"{len(documents())} schemas, {len(changed)} changed")


if __name__ == "__main__":
    main()
