"""A strict local server that speaks the Messages API, for tests that need no key and no network.

It refuses what the real one refuses (and some of what the real one lets pass), answers from a script, caches by real
prefixes, keeps real rate limits, breaks in the ways that real connections break, and keeps books of its own.
What its users may rely on is in `api.py`; run it as a process with `python -m worksite.common.testing.messages_api`.
"""

from worksite.common.testing.messages_api.api import MessagesApi
from worksite.common.testing.messages_api.billing import Billed
from worksite.common.testing.messages_api.faults import Fault
from worksite.common.testing.messages_api.limits import Limits
from worksite.common.testing.messages_api.transport import serving

__all__ = ["Billed", "Fault", "Limits", "MessagesApi", "serving"]
