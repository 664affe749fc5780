"""worksite rag eval: a collection through the API, measured and taken out again."""

import json

import pytest
from worksite.cli.client.counting import counting
from worksite.cli.session import Screen

CORPUS = {"1": "Passwords are hashed.", "../2": "Tokens rotate.", "drei/ä": "Coffee."}
RANKINGS = {"dense": ["1", "../2"], "sparse": ["../2", "1"], "hybrid": ["1"]}


@pytest.fixture
def tiny(tmp_path):
    """A collection of three documents, whose ids are no paths, and one judged query."""
    root = tmp_path / "tiny"
    (root / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": one, "title": "", "text": text}) for one, text in CORPUS.items()]
    (root / "corpus.jsonl").write_text("\n".join(lines))
    (root / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "how are passwords hashed? " * 200}))
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\t1\t1\n")
    return root


@pytest.fixture
def searches(gateway):
    """Answers by mode with the documents that were ingested; keeps the queries."""
    asked = []

    def found(*, body, **_):
        query = json.loads(body)
        asked.append(query)
        paths = {one["path"].rsplit("/", 1)[1]: one["path"] for one in gateway.documents.values()}
        names = {"1": "d1", "../2": "d..%2F2"}
        hits = [{"path": paths[names[one]]} for one in RANKINGS[query["mode"]]]
        answer = {"results": [*hits, *hits], "reranked": query["rerank"], "cached": False}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    routes = gateway._routes
    gateway._routes = lambda: ((r"POST /v1/search", found), *routes())
    return asked


def test_every_way_is_measured_and_nothing_is_left(gateway, worksite, searches, tiny):
    done = worksite("rag", "eval", tiny)
    assert done.exit_code == 0, done.stderr
    lines = [line.rsplit(" |", 3)[0] for line in done.stdout.splitlines()]
    assert lines[0] == "| collection | search | nDCG@10 | Recall@100 | MRR@10"
    assert lines[2:6] == [
        "| tiny | dense | 1.000 | 1.000 | 1.000",
        "| tiny | sparse | 0.631 | 1.000 | 0.500",
        "| tiny | hybrid | 1.000 | 1.000 | 1.000",
        "| tiny | hybrid+rerank | 1.000 | 1.000 | 1.000",
    ]
    assert done.stdout.splitlines()[-1].startswith(
        "3 documents, 1 queries; 1 of 1 reranked in time, 0 of 4 from the cache. Ingested 6 chunks in "
    )
    assert [(query["mode"], query["rerank"]) for query in searches] == [
        ("dense", False), ("sparse", False), ("hybrid", False), ("hybrid", True),
    ]  # fmt: skip
    assert {(query["top_k"], query["filters"]["path_prefix"]) for query in searches} == {(100, "rag-eval/tiny/")}
    assert max(len(query["query"]) for query in searches) == 2000
    assert gateway.documents == {}


def test_with_keep_the_documents_stay(gateway, worksite, searches, tiny):
    assert worksite("rag", "eval", tiny, "--keep").exit_code == 0
    assert sorted(one["path"] for one in gateway.documents.values()) == [
        "rag-eval/tiny/d..%2F2", "rag-eval/tiny/d1", "rag-eval/tiny/ddrei%2F%C3%A4",
    ]  # fmt: skip


def test_what_was_ingested_goes_also_when_a_search_fails(gateway, worksite, searches, tiny):
    gateway.refusals = [("/v1/search", 503, {}, {"title": "Unavailable"})]
    done = worksite("rag", "eval", tiny)
    assert (done.exit_code, gateway.documents) == (1, {})
    assert "worksite: Unavailable" in done.stderr


def test_a_pause_that_the_gateway_asks_for_is_made_and_not_measured(gateway, worksite, searches, tiny):
    gateway.refusals = [("/v1/search", 429, {"Retry-After": "0"}, {"title": "Too many requests"})]
    done = worksite("rag", "eval", tiny)
    assert (done.exit_code, len(searches)) == (0, 4)
    assert "Too many" not in done.stderr


def test_a_folder_that_is_no_collection_is_refused_before_anything_is_sent(gateway, worksite, tmp_path):
    done = worksite("rag", "eval", tmp_path)
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "corpus.jsonl cannot be read" in done.stderr


def test_elsewhere_than_on_a_terminal_progress_is_a_line_now_and_then(capsys):
    with counting(Screen().results, "sent", 1200) as reached:
        for done in (100, 499, 500, 900, 1100, 1200, 1200):
            reached(done)
    assert capsys.readouterr().out.splitlines() == ["sent 500/1200", "sent 1100/1200", "sent 1200/1200"]
