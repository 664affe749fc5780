"""The url-shortener blueprint is proved as it is, and refuted when it is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.proof


@pytest.mark.timeout(1200)  # a guard against hanging, not a measure
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(product: Any, prove: Callable[..., Any]) -> None:
    prove(product("url-shortener"))


FAULTS = {
    "codes are counted up": (
        "codes.py",
        'return "".join(secrets.choice(ALPHABET) for _ in range(length))',
        'drawn.append(0)\n    return f"{len(drawn):a>{length}}"\n\n\ndrawn: list[int] = []',
        "acceptance/test_links.py::test_random_codes_are_neither_counted_up_nor_repeated",
    ),
    "codes can be foretold": (
        "codes.py",
        "import secrets\n",
        "import random as secrets\n",
        "unit/test_inside.py::test_codes_come_from_the_operating_systems_entropy",
    ),
    "an alias overwrites the link that has it": (
        "links.py",
        "        if alias in RESERVED or _is_taken(tx, alias):\n            raise AliasTaken\n",
        "        tx.execute(delete(Link).where(Link.code == alias))\n",
        "acceptance/test_links.py::test_an_alias_that_is_taken_is_refused_and_the_first_link_stands",
    ),
    "parallel requests for an alias do not wait for each other": (
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_links.py::test_of_parallel_requests_for_one_alias_exactly_one_gets_it",
    ),
    "the code of a deleted link is free again": (
        "links.py",
        "    return tx.scalar(select(Link.id).where(Link.code == code)) is not None",
        """\
    tx.execute(delete(Link).where(Link.code == code, Link.deleted))
    return tx.scalar(select(Link.id).where(Link.code == code)) is not None""",
        "acceptance/test_links.py::test_the_code_of_a_deleted_link_is_not_given_again",
    ),
    "management is open": (
        "api.py",
        "        raise InvalidApiToken",
        "        return",
        "acceptance/test_links.py::test_management_needs_the_token",
    ),
    "an expired link still redirects": (
        "clicks.py",
        "link.state(context.clock()) != State.ACTIVE",
        "not link.enabled",
        "acceptance/test_redirects.py::test_an_expired_link_leads_nowhere",
    ),
    "a request with a slash too many is sent to the host it names": (
        "main.py",
        "redirect_slashes=False",
        "redirect_slashes=True",
        "acceptance/test_redirects.py::test_nothing_but_a_code_redirects",
    ),
    "javascript: is let in": (
        "urls.py",
        '_SCHEME = r"(?i:https?)://"',
        '_SCHEME = r"(?i:https?|javascript)://"',
        "acceptance/test_urls.py::test_only_http_and_https_are_let_in",
    ),
    "credentials are stored": (
        "urls.py",
        """\
    if _USER.match(url):
        raise InvalidUrl("The URL must not hold a user name or password.")
    parts = _URL.fullmatch(url)""",
        """\
    parts = _URL.fullmatch(re.sub("//[^/?#]*@", "//", url))""",
        "acceptance/test_urls.py::test_a_url_with_user_name_or_password_is_refused",
    ),
    "a link may lead to the service itself": (
        "urls.py",
        "if host == self.own_host:",
        "if url == self.own_host:",
        "acceptance/test_urls.py::test_a_link_to_the_service_itself_is_refused",
    ),
    "subdomains get past the deny list": (
        "urls.py",
        'host == each or host.endswith(f".{each}")',
        "host == each",
        "acceptance/test_urls.py::test_a_denied_host_is_refused_with_its_subdomains_however_it_is_written",
    ),
    "the first click does not count": (
        "clicks.py",
        "day=context.clock().date(), count=1)",
        "day=context.clock().date(), count=0)",
        "acceptance/test_statistics.py::test_clicks_are_counted_per_link",
    ),
    "parallel clicks are lost": (
        "clicks.py",
        'set_={"count": DailyClicks.count + 1}',
        'set_={"count": link.clicks + 1}',
        "acceptance/test_statistics.py::test_of_parallel_clicks_none_is_lost_or_counted_twice",
    ),
    "visitors are recorded": (
        "api.py",
        """\
def follow(code: Code, context: InContext) -> Response:
    \"\"\"Follow a link, and count it.\"\"\"
""",
        """\
def follow(code: Code, context: InContext, request: Request) -> Response:
    __import__("logging").getLogger("visitors").info("%s", request.headers)
""",
        "unit/test_inside.py::test_nothing_of_a_visitor_is_stored_or_logged",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(
    product: Any, refute: Callable[..., None], name: str
) -> None:
    refute(product("url-shortener"), FAULTS[name])
