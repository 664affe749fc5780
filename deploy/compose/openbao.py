"""OpenBao's configuration, by which it fills itself at its first start and unseals itself at each.

Nobody ever has a root token: OpenBao revokes it. After the first start what it holds is changed as `OPERATOR`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

OPERATOR = "operator"
_SERVER = """\
api_addr = "http://openbao:8200"
cluster_addr = "http://127.0.0.1:8201"
listener "tcp" {
  address = "0.0.0.0:8200"
  tls_disable = true
}
storage "raft" {
  path = "/openbao/file"
  node_id = "1"
  performance_multiplier = 1
}
seal "static" {
  current_key_id = "1"
  current_key = "file:///run/secrets/unseal_key"
}
"""


def config(held: Mapping[str, Mapping[str, str]], secret_ids: Mapping[str, str]) -> str:
    """`held`: what each service reads, as one secret of the KV engine. `secret_ids`: of each service and of OPERATOR;
    the other half of an AppRole, its role_id, is its name."""
    blocks = [_request(name, path, data) for name, path, data in _requests(held, secret_ids)]
    return f'{_SERVER}initialize "worksite" {{\n{"".join(blocks)}}}\n'


def _requests(
    held: Mapping[str, Mapping[str, str]], secret_ids: Mapping[str, str]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, path and data of each. The engine comes first and is filled last, as it takes a moment to be there."""
    yield "engine", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}
    yield "sign-in", "sys/auth/approle", {"type": "approle"}
    for name, secret_id in secret_ids.items():
        role = f"auth/approle/role/{name}"
        yield f"{name}-policy", f"sys/policies/acl/{name}", {"policy": _policy(name)}
        yield f"{name}-role", role, {"token_policies": [name], "token_ttl": "1h", "token_max_ttl": "24h"}
        yield f"{name}-role-id", f"{role}/role-id", {"role_id": name}
        yield f"{name}-secret-id", f"{role}/custom-secret-id", {"secret_id": secret_id}
    for service, values in held.items():
        yield f"{service}-secrets", f"secret/data/worksite/{service}", {"data": dict(values)}


def _policy(name: str) -> str:
    if name == OPERATOR:
        return 'path "secret/*" { capabilities = ["create", "read", "update", "patch", "list"] }'
    return f'path "secret/data/worksite/{name}" {{ capabilities = ["read"] }}'


def _request(name: str, path: str, data: Mapping[str, Any]) -> str:
    lines = ['operation = "update"', f"path = {_hcl(path)}", f"data = {_hcl(data)}"]
    return f'request "{name}" {{\n' + "".join(f"  {line}\n" for line in lines) + "}\n"


def _hcl(value: Any) -> str:
    """Like JSON, but for the sign between a name and its value."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_hcl(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)
