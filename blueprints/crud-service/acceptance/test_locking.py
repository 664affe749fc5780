"""Acceptance: entity tags, and updates that must not be lost."""

import re
from typing import Any

PARALLEL = 4  # few: each is a thread of the candidate, and the sandbox bounds threads


def test_the_etag_follows_every_change(app: Any, records: Any) -> None:
    created = app.post(records.path, json=records.values())
    record, tags = created.json(), [created.headers["etag"]]
    assert re.fullmatch(r'"[!#-~]+"', tags[0])
    assert app.get(records.url(record)).headers["etag"] == tags[0]

    for _ in range(3):
        for method in ("PUT", "PATCH"):
            values = records.others(records.read(record))
            written = app.request(method, records.url(record), json=values).headers["etag"]
            assert app.get(records.url(record)).headers["etag"] == written
            assert app.request(method, records.url(record), json=values).headers["etag"] == written
            tags.append(written)

    assert len(set(tags)) == len(tags)


def test_an_outdated_if_match_is_refused(app: Any, records: Any, fresh: Any) -> None:
    record = records.create()
    url = records.url(record)
    outdated = app.get(url).headers["etag"]
    current = app.patch(url, json=records.others(record)).headers["etag"]
    state = records.read(record)

    for tag in (outdated, f"W/{current}", f'"{fresh.word()}"', f'{outdated}, "{fresh.word()}"', current.strip('"')):
        header = {"if-match": tag}
        for refused in (
            app.put(url, json=records.others(state), headers=header),
            app.patch(url, json=records.others(state), headers=header),
            app.delete(url, headers=header),
        ):
            assert refused.status == 412, tag
    assert records.read(record) == state

    replaced = app.put(url, json=records.others(state), headers={"if-match": current})
    assert replaced.status == 200
    several = {"if-match": f'"{fresh.word()}", {replaced.headers["etag"]}'}
    assert app.patch(url, json=records.others(replaced.json()), headers=several).status == 200
    assert app.delete(url, headers={"if-match": "*"}).status == 204


def test_of_parallel_updates_with_one_etag_exactly_one_wins(app: Any, records: Any) -> None:
    for method in ("PUT", "PATCH"):
        record = records.create()
        header = {"if-match": app.get(records.url(record)).headers["etag"]}
        bodies = [records.others(record) for _ in range(PARALLEL)]

        answers = app.concurrently(
            [(method, records.url(record), {"json": body, "headers": header}) for body in bodies]
        )

        assert sorted(each.status for each in answers) == [200, *[412] * (PARALLEL - 1)]
        [winner] = [body for body, answer in zip(bodies, answers, strict=True) if answer.status == 200]
        assert records.without_own(records.read(record)) == winner
