"""The shape of a blueprint's manifest."""

from __future__ import annotations

from worksite.common.blueprints import Feature


def test_a_feature_is_nothing_that_users_do_unless_its_manifest_says_so():
    named = {"id": "login", "phrases": ("login endpoint",), "criteria": ("logs-in",)}
    assert Feature.model_validate(named).actions == ()
    assert Feature.model_validate(named | {"actions": ("log in",)}).actions == ("log in",)
