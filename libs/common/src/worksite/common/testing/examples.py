"""One full example of every message: for golden files and for tests that need a plausible value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worksite.common import messages as m

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TASK = "01a203cffce2730f81be89a5177da8ee"
TENANT = "acme"
SHA = "ab" * 32
COMMIT = "cd" * 20


def artifact(media_type: str = "application/json") -> m.ArtifactRef:
    """A reference to an artifact that does not exist."""
    return m.ArtifactRef(sha256=SHA, size=1234, media_type=media_type)


def submit_task(**changes: object) -> m.SubmitTask:
    """What the gateway publishes for "Create auth system"."""
    given = {
        "task": TASK,
        "tenant": TENANT,
        "principal": "ada",
        "request": "Create auth system",
        "submitted_at": NOW,
    }
    return m.SubmitTask.model_validate(given | changes)


def imported_project() -> m.ImportedProject:
    return m.ImportedProject(base_sha=COMMIT, bundle=artifact("application/x-git-bundle"), empty=True)


def spec_written() -> m.SpecWritten:
    return m.SpecWritten(
        spec=artifact(), document=artifact("text/markdown"), title="Authentication service",
        engine="blueprint:auth-service@1.0.0", criteria=20,
        packages=(m.PackageOutline(id="login", title="Login", after=("accounts",)),), loosens=("tests/test_old.py",),
    )  # fmt: skip


def changeset() -> m.Changeset:
    return m.Changeset(
        base_sha=COMMIT, head_sha="ef" * 20, branch=f"worksite/{TASK}", bundle=artifact("application/x-git-bundle"),
        archive=artifact("application/zip"), summary="the blueprint", engine="blueprint:auth-service@1.0.0",
        files_changed=30, patch=artifact("text/x-patch"),
    )  # fmt: skip


def merge() -> m.Changeset:
    """Of work packages, one of which stayed out."""
    conflict = m.PackageConflict(package="login", files=("src/login.py",))
    return changeset().model_copy(update={"conflicts": (conflict,)})


def delivery() -> m.Delivery:
    push = m.Push(url="https://git.example.org/team/app.git", branch="feature/login")
    return m.Delivery(push=push, merge_request=True)


def judgement(verdict: m.Verdict = "PASS", signature: str | None = None) -> m.Judgement:
    return m.Judgement(
        verdict=verdict, report=artifact(), document=artifact("text/markdown"), summary="20 of 20 criteria",
        engine="validator", failure_signature=signature,
    )  # fmt: skip


def step_result(data: m.ReplyData, *, step: str, agent: m.Agent, status: m.ReplyStatus = "ok") -> m.StepResult:
    """A result event as a worker publishes it."""
    reply = {"action": step.split("-")[1], "agent": agent, "status": status, "data": data}
    return m.StepResult(
        task=TASK, tenant=TENANT, step=step, round=0, reply=m.AgentReply.model_validate(reply),
        started_at=NOW, finished_at=NOW + timedelta(seconds=2),
    )  # fmt: skip


def spec() -> m.Spec:
    return m.Spec(
        title="Authentication service",
        request="Create auth system",
        engine="blueprint:auth-service@1.0.0",
        decisions=(
            m.Decision(
                title="Password hashing", choice="argon2id", reason="memory-hard",
                rejected=(m.RejectedOption(option="bcrypt", reason="72 byte limit"),),
            ),
        ),
        constraints=("no network at run time",),
        interfaces=(m.Interface(name="POST /register", summary="create an account"),),
        files=(m.FileNote(path="src/auth_service/main.py", purpose="wiring"),),
        criteria=(
            m.Criterion(
                id="login-wrong-password", statement="A wrong password is refused.", grade="verified_io",
                test="acceptance/test_login.py::test_wrong_password_is_refused",
            ),
        ),
        tests=(m.TestFile(path="acceptance/test_login.py", content="def test_wrong_password_is_refused(app): ..."),),
        harness=m.Harness(target="auth_service.main:create_app", factory=True, env={"AUTH_SECRET_KEY": "{random}"}),
        blueprint=m.BlueprintChoice(
            name="auth-service", version="1.0.0", digest=SHA, parameters={"package": "auth_service"}
        ),
        removed_tests=("tests/test_old.py::test_gone",),
        commands=(m.CheckCommand(name="unit", command=("sh", "tests/run.sh")),),
        packages=(
            m.WorkPackage(
                id="login", title="Login", summary="accounts and sessions", criteria=("login-wrong-password",),
                files=("src/auth_service/login.py",), after=("accounts",),
            ),
        ),
    )  # fmt: skip


def report() -> m.Report:
    finding = m.Finding(check="lint", message="F401 unused import", path="src/a.py", line=1)
    return m.Report(
        verdict="PASS",
        summary="1 of 1 criteria, 7 checks",
        engine="validator",
        round=1,
        spec_sha256=SHA,
        base_sha=COMMIT,
        head_sha="ef" * 20,
        environment=m.Environment(
            digest=SHA, lock="requirements.lock", python="3.11.7", isolation="jail", layers=("landlock",)
        ),
        criteria=(
            m.CriterionResult(
                id="login-wrong-password", statement="A wrong password is refused.", verdict="pass",
                grade="verified_io", evidence="status 401", duration_seconds=0.2,
            ),
        ),
        checks=(
            m.CheckResult(
                name="lint", verdict="pass", grade="verified_io", evidence="ruff: clean", duration_seconds=0.1,
                findings=(finding,), preexisting=(finding,),
            ),
            m.CheckResult(
                name="review", verdict="not_applicable", grade="self_reported", evidence="1 remark", duration_seconds=4,
                advice=(m.Advice(path="a.py", line=3, quote="x == None", severity="low", message="Use `is`."),),
            ),
        ),
        failure_signature=SHA,
    )  # fmt: skip


def _step(step: str, round_number: int = 0) -> dict[str, object]:
    deadline = NOW + timedelta(days=36_500)  # a worker does not start what is late
    return {"task": TASK, "tenant": TENANT, "step": step, "round": round_number, "deadline": deadline}


def commands() -> tuple[m.Command, ...]:
    """One of each command."""
    criterion = spec().criteria[0]
    source = m.GitProject(git_url="https://git.example.org/team/app.git", ref="main")
    project, change = imported_project(), changeset()
    bodies: tuple[tuple[type[m.Command], dict[str, object]], ...] = (
        (m.ImportProject, _step("1-import") | {"source": source, "review_base": "main", "review": True}),
        (m.DesignSpec, _step("2-design")
         | {"request": "Create auth system", "route": "feature", "project": project, "criteria": (criterion,),
            "inputs": ("without OAuth then",), "project_name": "auth", "may_split": True}),
        (m.BuildChange, _step("3-build", 1)
         | {"spec": artifact(), "project": project, "report": artifact(), "previous": change, "package": "login",
            "parts": (m.PackageWork(package="login", changeset=change),)}),
        (m.ValidateChange, _step("4-validate", 1) | {"spec": artifact(), "project": project, "changeset": change}),
        (m.AnswerQuestion, _step("1-answer") | {"request": "How does login work?", "inputs": ("with a password",)}),
        (m.DeliverBranch, _step("5-deliver")
         | {"source": source, "changeset": change, "title": "Authentication service",
            "delivery": delivery()}),
    )  # fmt: skip
    return tuple(model.model_validate(body) for model, body in bodies)


def task_state() -> m.TaskState:
    """A task that has passed."""
    record = m.StepRecord(
        step="1-import", agent="builder", round=0, status="ok", summary="empty project", engine="git",
        started_at=NOW, finished_at=NOW + timedelta(seconds=1), cost_usd=0.0,
    )  # fmt: skip
    return m.TaskState(
        task=TASK, tenant=TENANT, principal="ada", request="Create auth system", inputs=("without OAuth then",),
        project=m.NewProject(name="auth"),
        options=m.TaskOptions(),
        route=m.RouteDecision(route="feature", stage="default", reason="no rule", confidence=1, latency_ms=0.1),
        status="completed", step=None, steps_commanded=4, round=1, reason="PASS in round 1",
        imported=imported_project(), spec=spec_written(),
        packages=(
            m.PackageState(id="login", title="Login", after=("accounts",), step="3-build", conflicts=("app.py",)),
        ),
        changeset=changeset(), judgement=judgement(),
        answer=m.Answer(
            text="See the README.", engine="search",
            citations=(m.Citation(path="README.md", start_line=1, end_line=3, text="# App"),),
        ),
        delivered=m.Delivered(
            remote="https://git.example.org/team/app.git", branch="worksite/x", head_sha=COMMIT,
            merge_request="https://git.example.org/team/app/-/merge_requests/1",
        ),
        question=m.Question(reason="more than is covered", covered=("login",), missing=("oauth",), hint="ask for less"),
        approval=m.Approval(gate="design", digest=SHA, expires_at=NOW),
        problem=m.Problem(code="failed", detail="five times"),
        signatures=(SHA,), history=(record,), created_at=NOW, updated_at=NOW, deadline=NOW + timedelta(hours=1),
        cause="e1", applied=("e0", "e1"), commands=commands()[:1],
    )  # fmt: skip


def all_messages() -> tuple[m.Message, ...]:
    """One of each type that travels."""
    return (
        submit_task(
            route="feature", project=m.GitProject(git_url="https://git.example.org/team/app.git", ref="main"),
            options=m.TaskOptions(
                base="main", criteria=spec().criteria, max_rounds=2, deadline_seconds=600, approve=("design",),
                deliver=delivery(),
            ),
        ),
        *commands(),
        step_result(merge(), step="3-build", agent="builder"),
        m.StepProgress(task=TASK, tenant=TENANT, step="3-build", text="rendering"),
        task_state(),
        m.TaskEntry(state=task_state(), submitted=submit_task(), sequence=7),
        m.CancelRequested(task=TASK, tenant=TENANT, principal="ada", reason="changed my mind"),
        m.InputGiven(task=TASK, tenant=TENANT, principal="ada", text="without OAuth then", route="feature"),
        m.ApprovalGiven(
            task=TASK, tenant=TENANT, principal="bob", gate="design", approved=True, digest=SHA, expires_at=NOW,
            comment="as discussed",
        ),
        m.TimerDue(task=TASK, tenant=TENANT, purpose="deadline", at=NOW),
        spec(),
        report(),
        m.SearchRequest(
            tenant=TENANT, query="login", top_k=5, mode="hybrid", rerank=True,
            filters=m.SearchFilters(
                path_prefix="docs/", kind="document", tags=("auth",), language="markdown", since=NOW, before=NOW,
                blueprints=True,
            ),
            rrf=m.RankFusion(k=10, dense=2, sparse=1),
        ),
        m.SearchResponse(
            results=(
                m.SearchResult(
                    path="docs/a.md", start_line=1, end_line=4, text="…", score=0.9,
                    scores=m.Scores(dense=0.8, sparse=3.1, rerank=None), kind="document", name=None, heading="Login",
                    language="markdown", updated_at=NOW,
                ),
            ),
            reranked=False, timings_ms={"embed": 3.0}, rerank_skipped="deadline", cached=True,
        ),
        m.RequestFailed(code="malformed", detail="query is empty", retryable=False),
        m.DocumentText(tenant=TENANT, path="notes/login.md", text="# Login", submitted_at=NOW),
        m.DocumentFile.of(TENANT, "notes/login.pdf", b"%PDF-1.7", NOW),
        m.DocumentEntry(
            tenant=TENANT, id=m.document_id("notes/login.md"), path="notes/login.md", tags=("auth",), text=artifact(),
            state="failed", error="not UTF-8", chunks=0, submitted_at=NOW, indexed_at=NOW,
            origin=m.TaskOrigin(task=TASK, project="new:shop"),
        ),
        m.IndexDocuments(tenant=TENANT, documents=(m.document_id("notes/login.md"),)),
        m.DeadLetter(
            service="builder", stream="WORK", sequence=5, subject="ws.v1.work.builder.acme", reason="no ce-id",
            deliveries=1, headers={"a": "b"}, body_base64="e30=", died_at=NOW,
        ),
        m.AuditRecord(
            kind="denied", principal="ada", action="submitTask", resource="tenant acme", reason="role viewer", at=NOW
        ),
        m.RedriveLetter(tenant=TENANT, sequence=7),
        m.RedriveOutcome(redriven=False, reason="its task has ended"),
        m.JournalRecord(
            task=TASK, tenant=TENANT, step="2-design", index=3, kind="call", digest=SHA, holder="w1", body="{}",
        ),
        m.CheckCandidate(
            tenant=TENANT, spec=artifact(), project=imported_project(), head_sha=COMMIT, commits=artifact()
        ),
        m.CandidateChecked(text="project-tests: pass (at head 3 passed)"),
        m.EmbedText(text="Create auth system"),
        m.Embedding(embedder="ab" * 8, vector=(0.6, -0.8)),
        m.ExplainRoute(
            tenant=TENANT, request="Create auth system", route="feature", new_project=True, assume_model=True
        ),
        m.RouteExplained(
            decision=m.RouteDecision(
                route="feature", stage="model", reason="it asks to build", confidence=0.9, latency_ms=800.5,
                cost_usd=0.0001, difficulty="medium",
                model_use=(m.ModelUse(model="small", calls=1, input_tokens=500, output_tokens=40, cost_micro_usd=100),),
            ),
            stages=(
                m.StageReport(
                    stage="classifier", outcome="passed", reason="unsure", latency_ms=2.5,
                    probabilities={"feature": 0.5, "fix": 0.5},
                ),
            ),
            asking=m.ModelCallSize(prompt_tokens=500, answer_tokens=60),
        ),
    )  # fmt: skip
