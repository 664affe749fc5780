"""The rules of routing: right when they speak, silent when in doubt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worksite.admin.domain.rules import by_rules
from worksite.common.messages import GitProject, NewProject, Route, SubmitTask
from worksite.common.messages.sources import ProjectSource

EXISTING = GitProject(git_url="https://git.example/shop.git")

QUESTIONS = [
    "How does the token refresh work?",
    "how do I add a blueprint?",
    "How can we rotate the signing keys?",
    "How should errors be reported to the client?",
    "How many requests per second can the gateway take?",
    "How to create a migration?",
    "What is the lockout policy?",
    "What are the supported databases?",
    "What happens when the disk is full?",
    "Why does the login take 300 ms?",
    "Why is argon2 used instead of bcrypt?",
    "Where is the audit log written?",
    "Which hashing algorithm does the auth service use?",
    "When does a refresh token expire?",
    "Who owns the billing module?",
    "  What\n  is a round?  ",
    "Explain how the worker claims a step",
    "Can you explain why PASS needs every criterion?",
    "Please explain what a blueprint is.",
]
REVIEWS = [
    "Review the last commit",
    "Please review my changes",
    "Review this pull request",
    "Could you review the branch feature/login?",
    "Code review of the latest changes",
    "Do a code review of the payment code",
    "review PR #12",
    "Review branch fix/token-expiry",
    "Review the codebase",
    "Review our authentication code for security problems",
]
FIXES = [
    "Fix the login bug",
    "Make the tests pass again",
    "fix the failing tests",
    "Please fix the race in the cache",
    "Can you fix the date parsing?",
    "Debug the crash on start-up",
    "Investigate the timeout error in the importer",
    "Bug: totals are wrong for empty carts",
    "The search is broken since Monday",
    "Logging in raises KeyError",
    "The importer crashes when the file is empty",
    "GET /users returns 500 instead of 404",
    "The export stopped working",
    "Sign-up doesn't work",
    "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\nKeyError: 'id'",
]
DESIGNS = [
    "Design only: a rate limiter",
    "Architecture only, for a chat service",
    "Only the design of a payment flow",
    "Just the architecture for an event store",
    "Design a rate limiter, no code",
    "Design the billing API without writing code",
    "Please design a job queue but don't implement it",
    "Write a design document for the search service",
    "Draft an architecture doc of the ingest path",
]
BUILDS = [
    "Create auth system",
    "Build a REST API for todo lists",
    "Add rate limiting to the login",
    "Please implement password reset",
    "Can you build me an auth system?",
    "Could you please add a health endpoint?",
    "I want to build a review site for restaurants",
    "We need to add tests",
    "Write a function that explains how to fix a bug",
    "Create a bug tracker",
    "Build a question and answer forum. What is a good schema?",
    "Add a page that is shown when the upstream is broken",
    "Implement a code review bot",
    "Create a design system",
    "Build a tool that prints a traceback (most recent call last)",
    "Generate a report of who is logged in?",
    "Refactor the session store",
]
DOUBTFUL = [
    "Auth system",
    "A design system for our shop",
    "Review management app",
    "Restaurant review site",
    "Review system with stars and comments",
    "Question and answer forum",
    "How about an auth system?",
    "What about adding a login?",
    "Why not add a login?",
    "What if we had a login page?",
    "What we need is an auth system. Can you do it?",
    "How hard can it be? A login page, that is all.",
    "What is missing is a login. Where should it go?",
    "How do users log in? Add a login page.",
    "Explain how the login works and add tests for it",
    "Explain what it does, then refactor it",
    "Tell me what to cook: an app for recipes",
    "Review the code and fix the bugs",
    "Review my changes, then add the missing tests",
    "Fix up a nice landing page",
    "Fixed-width file parser",
    "Debug toolbar for our admin pages",
    "Resolve host names in the background",
    "Bug tracker",
    "Design an auth system",
    "Dark design only",
    "Todo app where users can ask: how does this work?",
    "User registration with email",
    "Only architecture students may register",
    "Only the design team may edit pages",
    "Design-only mode in the editor",
    "Design a no code platform",
    "Design a release process without code freeze",
    "Design forms that do not write to disk",
    "The list is broken into pages of 20 items",
    "Endpoint that returns 404 instead of an empty list",
    "A parser that raises a ParseError on bad input",
    "An exporter which fails with a clear message",
    "The shop is broken into modules; build a new one for payments",
    "Is there a login?",
    "Write the specification of the permissions model, implementation is out of scope",
    "Make a proposal for splitting the user table",
    "Write up the approach for blue/green deployments",
    "Write down the requirements for a membership system",
    "Make the login work again for users with a plus sign in their address",
]


@pytest.mark.parametrize(
    ("request_text", "route"),
    [
        *((text, "question") for text in QUESTIONS),
        *((text, "review") for text in REVIEWS),
        *((text, "fix") for text in FIXES),
        *((text, "design") for text in DESIGNS),
        *((text, "feature") for text in BUILDS),
    ],
)
def test_a_rule_recognises_what_is_plainly_said_about_an_existing_project(request_text: str, route: Route) -> None:
    decision = by_rules(submission(request_text, EXISTING))

    assert decision is not None
    assert (decision.route, decision.stage) == (route, "rules")


@pytest.mark.parametrize("request_text", DOUBTFUL)
def test_no_rule_speaks_where_the_request_is_in_doubt(request_text: str) -> None:
    assert by_rules(submission(request_text, EXISTING)) is None


@pytest.mark.parametrize(
    ("request_text", "route"),
    [
        *((text, "question") for text in QUESTIONS),
        *((text, "design") for text in DESIGNS),
        *((text, "review") for text in REVIEWS),
        *((text, "fix") for text in FIXES),
    ],
)
def test_what_is_plainly_said_is_recognised_without_a_project_too(request_text: str, route: Route) -> None:
    decision = by_rules(submission(request_text, NewProject()))

    assert decision is not None
    assert decision.route == route


def submission(request: str, project: ProjectSource) -> SubmitTask:
    return SubmitTask(
        task="0" * 32, tenant="acme", principal="ada", request=request, project=project, submitted_at=datetime.now(UTC)
    )
