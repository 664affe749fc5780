"""Registration: what is accepted, what is refused, what never leaks."""

import secrets

import pytest
from fastapi.testclient import TestClient


def test_registering_creates_an_account_that_can_log_in(client: TestClient) -> None:
    body = {"email": "Grace@Example.com", "password": secrets.token_urlsafe(16)}

    response = client.post("/register", json=body)

    assert response.status_code == 201
    assert response.json()["email"] == "grace@example.com"
    assert set(response.json()) == {"id", "email", "created_at"}
    assert client.post("/login", json=body).status_code == 200


def test_an_address_is_registered_once_whatever_its_case(
    client: TestClient, credentials: dict[str, str]
) -> None:
    again = credentials | {"email": credentials["email"].upper()}

    response = client.post("/register", json=again)

    assert response.status_code == 409
    assert response.json()["code"] == "email-taken"


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@-x.com", "a@b..c"],
)
def test_what_is_not_an_address_is_refused(client: TestClient, address: str) -> None:
    body = {"email": address, "password": secrets.token_urlsafe(16)}

    response = client.post("/register", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "body.email"


@pytest.mark.parametrize(
    "weak", ["x1!Y", "aaaaaaaaaaaaaaaa", "Grace" + "-0123456789"], ids=["short", "plain", "name"]
)
def test_a_weak_password_is_refused_with_the_reason(client: TestClient, weak: str) -> None:
    response = client.post("/register", json={"email": "grace@example.com", "password": weak})

    assert response.status_code == 422
    assert response.json()["code"] == "weak-password"
    assert response.json()["detail"].startswith("The password must ")


def test_a_refusal_does_not_quote_the_password(client: TestClient) -> None:
    too_long = secrets.token_urlsafe(200)

    response = client.post("/register", json={"email": "grace@example.com", "password": too_long})

    assert response.status_code == 422
    assert too_long not in response.text


def test_unknown_fields_are_refused(client: TestClient) -> None:
    body = {"email": "g@example.com", "password": secrets.token_urlsafe(16), "admin": True}

    response = client.post("/register", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "body.admin"
