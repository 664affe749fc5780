"""`python -m worksite.common.healthcheck URL`: exit status 0 when a probe is well; for the health check of an image."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

_SECONDS = 4.0


def main() -> None:
    """Asks the one URL of the command line; what is wrong is printed, for `docker inspect`."""
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=_SECONDS):  # noqa: S310 — the image's own address
            return
    except urllib.error.HTTPError as error:
        sys.exit(error.read().decode(errors="replace"))
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
