"""Secrets from a real OpenBao: both ways of signing in, the life of the token, and what is said when there is none."""

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from pydantic import SecretStr
from worksite.common.processes import free_port
from worksite.common.secrets.errors import SecretsUnavailable
from worksite.common.secrets.source import reader
from worksite.common.secrets.vault import AppRole, Kubernetes, Place, Vault
from worksite.common.settings import ServiceSettings, SettingsError, load
from worksite.common.testing.vaults import (
    AUDIENCE,
    address,
    app_role,
    cluster,
    ok,
    store,
    token_of,
    trust_cluster,
    vault,
)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with vault(tmp_path_factory.mktemp("bao")) as client:
        yield client


def opened(client: httpx.Client, path: str, clock=time.monotonic, **options: object) -> Vault:
    role_id, secret_id = app_role(client, path, **options)
    return Vault(Place(address(client), "secret", path), AppRole(role_id, SecretStr(secret_id)), clock)


def tokens_of(client: httpx.Client, role: str) -> list[dict]:
    """Those that are good, by when they were made."""
    keys = client.request("LIST", "auth/token/accessors").json()["data"]["keys"]
    asked = [client.post("auth/token/lookup-accessor", json={"accessor": key}) for key in keys]
    found = [reply.json()["data"] for reply in asked if reply.is_success]
    mine = [token for token in found if (token["meta"] or {}).get("role_name") == role]
    return sorted(mine, key=lambda token: token["creation_time"])


def test_a_service_starts_with_what_its_app_role_may_read(bao, monkeypatch):
    store(bao, "worksite/rag", NATS_PASSWORD="from-vault")
    role_id, secret_id = app_role(bao, "worksite/rag")
    given = {"SECRETS_SOURCE": "vault", "VAULT_ADDR": address(bao), "VAULT_ROLE": role_id, "VAULT_SECRET_ID": secret_id}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = reader(ServiceSettings, load(ServiceSettings), "rag")
    assert read().nats_password == SecretStr("from-vault")
    monkeypatch.setenv("NATS_PASSWORD", "from-here")
    assert read().nats_password == SecretStr("from-here")


def test_a_pod_signs_in_as_its_service_account(bao, tmp_path):
    store(bao, "worksite/builder", nats_password="pods")
    app_role(bao, "worksite/builder")  # for its policy
    (tmp_path / "token").write_text(token_of("builder"))
    with cluster() as url:
        trust_cluster(bao, url)
        bound = {"bound_service_account_names": "builder", "bound_service_account_namespaces": "worksite"}
        ok(bao.post("auth/kubernetes/role/services", json={**bound, "audience": AUDIENCE, "token_policies": "builder"}))
        place = Place(address(bao), "secret", "worksite/builder")
        assert Vault(place, Kubernetes("services", tmp_path / "token")).read() == {"nats_password": "pods"}
        (tmp_path / "token").write_text(token_of("stranger"))
        with pytest.raises(SettingsError, match="has no secret/worksite/builder"):
            Vault(place, Kubernetes("services", tmp_path / "token")).read()


def test_a_token_is_renewed_at_two_thirds_of_its_life_and_not_before(bao):
    store(bao, "worksite/renewed", a="1")
    now = SimpleNamespace(seconds=0.0)
    source = opened(bao, "worksite/renewed", lambda: now.seconds, token_ttl="300s", token_max_ttl="24h")
    source.read()
    now.seconds = 199
    source.read()
    assert [token.get("last_renewal_time") for token in tokens_of(bao, "renewed")] == [None]
    now.seconds = 201
    source.read()
    (renewed,) = tokens_of(bao, "renewed")
    assert renewed["last_renewal_time"]


@pytest.mark.parametrize("change", ["batch", "revoked", "at-its-longest"])
def test_a_token_that_cannot_be_renewed_is_replaced(bao, change):
    now = SimpleNamespace(seconds=0.0)
    path = f"worksite/{change}"
    store(bao, path, a="1")
    batch = {"token_type": "batch"} if change == "batch" else {}
    source = opened(bao, path, lambda: now.seconds, token_ttl="300s", token_max_ttl="24h", **batch)
    source.read()
    first = source._client.token
    if change == "revoked":
        ok(bao.post("auth/token/revoke", json={"token": first}))
    if change == "at-its-longest":
        ok(bao.post(f"auth/approle/role/{change}", json={"token_ttl": "60s", "token_max_ttl": "60s"}))
    now.seconds = 201
    assert source.read() == {"a": "1"}
    assert source._client.token != first


def test_a_revoked_token_is_replaced_within_the_same_reading(bao):
    store(bao, "worksite/withdrawn", a="1")
    source = opened(bao, "worksite/withdrawn")
    source.read()
    (token,) = tokens_of(bao, "withdrawn")
    ok(bao.post("auth/token/revoke-accessor", json={"accessor": token["accessor"]}))
    assert source.read() == {"a": "1"}


def test_what_a_role_may_not_read_is_named_without_its_credentials(bao):
    store(bao, "worksite/other", a="1")
    role_id, secret_id = app_role(bao, "worksite/own")
    source = Vault(Place(address(bao), "secret", "worksite/other"), AppRole(role_id, SecretStr(secret_id)))
    with pytest.raises(SettingsError, match=r"secret/worksite/other.*permission denied") as refused:
        source.read()
    assert role_id not in str(refused.value)


@pytest.mark.parametrize("path", ["worksite/absent", "worksite/deleted"])
def test_a_secret_that_is_not_there_is_named(bao, path):
    store(bao, "worksite/deleted", a="1")
    ok(bao.delete("secret/data/worksite/deleted"))
    with pytest.raises(SettingsError, match=path):
        opened(bao, path).read()


def test_a_wrong_secret_id_is_refused_and_not_repeated(bao):
    role_id, _ = app_role(bao, "worksite/wrong")
    place = Place(address(bao), "secret", "worksite/wrong")
    with pytest.raises(SettingsError, match="invalid") as refused:
        Vault(place, AppRole(role_id, SecretStr("canary-in-vain"))).read()
    assert "canary" not in str(refused.value)


def test_a_vault_that_is_away_or_sealed_is_worth_another_try(tmp_path):
    nobody = AppRole("role", SecretStr("secret"))
    with pytest.raises(SecretsUnavailable, match="does not answer"):
        Vault(Place(f"http://127.0.0.1:{free_port()}", "secret", "a"), nobody).read()
    with vault(tmp_path) as client:
        store(client, "worksite/sealed", a="1")
        source = opened(client, "worksite/sealed")
        source.read()
        with contextlib.suppress(httpx.HTTPError):
            client.put("sys/seal")
        with pytest.raises(SecretsUnavailable, match="sealed"):
            source.read()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECRETS_SOURCE": "file"}, "SECRETS_DIR"),
        ({"SECRETS_SOURCE": "vault"}, "VAULT_ADDR and VAULT_ROLE"),
        ({"SECRETS_SOURCE": "vault", "VAULT_ADDR": "http://v", "VAULT_ROLE": "r"}, "VAULT_SECRET_ID"),
        ({"SECRETS_SOURCE": "safe"}, "SECRETS_SOURCE"),
    ],
)
def test_a_source_that_is_half_described_is_refused(monkeypatch, given, said):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load(ServiceSettings)
