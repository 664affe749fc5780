"""Settings are read from the environment and each is documented."""

from __future__ import annotations

from pathlib import Path

import pytest
from worksite.common.settings import ServiceSettings, SettingsError, load
from worksite.rag.settings import RagSettings

README = Path(__file__).parents[1] / "README.md"


def test_everything_has_a_safe_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RagSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = load(RagSettings)
    assert (settings.qdrant_host, settings.qdrant_port, settings.knowledge_dirs) == (None, 6333, ())
    assert (settings.rag_backend, settings.rag_embedder_path) == ("onnx", None)


def test_knowledge_folders_are_separated_by_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWLEDGE_DIRS", "/a/docs:/b/wiki:")
    assert load(RagSettings).knowledge_dirs == (Path("/a/docs"), Path("/b/wiki"))


def test_two_folders_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWLEDGE_DIRS", "/a/docs:/b/docs")
    with pytest.raises(SettingsError, match="several folders named docs"):
        load(RagSettings)


@pytest.mark.parametrize("name", sorted(RagSettings.model_fields.keys() - ServiceSettings.model_fields.keys()))
def test_readme_documents_each_setting(name: str) -> None:
    assert f"`{name.upper()}`" in README.read_text()
