"""The Secrets of a new installation, as the tool prints them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import yaml
from kustomized import K8S


@cache
def made_secrets() -> dict[str, dict[str, str]]:
    """The same ones all the time."""
    return new_secrets()


def new_secrets() -> dict[str, dict[str, str]]:
    """By name and key."""
    ran = subprocess.run([sys.executable, K8S / "tools" / "new_secrets.py"], capture_output=True, text=True, check=True)
    return {each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load(ran.stdout)["items"]}
