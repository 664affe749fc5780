"""Look for secrets in the files below the working directory; runs in the sandbox, detect-secrets beside it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    sys.path.append(sys.argv[1])
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    found: list[dict[str, object]] = []
    with default_settings():
        collection = SecretsCollection()
        for path in sorted(each for each in Path().rglob("*") if each.is_file()):
            collection.scan_file(str(path))
        for name, secret in collection:
            found.append({"path": name, "kind": secret.type, "line": secret.line_number})
    with os.fdopen(int(os.environ["WORKSITE_RESULT_FD"]), "w") as result:
        json.dump(found, result)


if __name__ == "__main__":
    main()
