"""Look for secrets in the files below the working directory; runs in the sandbox, detect-secrets beside it."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

_PRAGMA = re.compile(rb"pragma: ?(?:allow|white)list[ -](?:nextline[ -])?secret")


def main() -> None:
    sys.path.append(sys.argv[1])
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    found: list[dict[str, object]] = []
    with default_settings():
        collection = SecretsCollection()
        paths = sorted(each for each in Path().rglob("*") if each.is_file())
        for path in paths:
            collection.scan_file(str(path))
        for name, secret in collection:
            found.append({"path": name, "kind": secret.type, "line": secret.line_number})
    silenced = sum(len(_PRAGMA.findall(path.read_bytes())) for path in paths)
    with os.fdopen(int(os.environ["WORKSITE_RESULT_FD"]), "w") as result:
        json.dump({"found": found, "silenced": silenced}, result)


if __name__ == "__main__":
    main()
