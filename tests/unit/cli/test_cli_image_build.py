"""``image build``: what the words on the command line ask the builder for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kutti_sdk.cli.images import build
from kutti_sdk.cli.main import main
from kutti_sdk.images.builder import NodeImageRecipe


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[NodeImageRecipe]:
    """What the builder was asked for, in place of the builder."""
    recipes: list[NodeImageRecipe] = []

    async def remember(recipe: NodeImageRecipe) -> object:
        recipes.append(recipe)
        return SimpleNamespace(manifest=SimpleNamespace(k8s_version="1.34.2"), checksum="0" * 64)

    monkeypatch.setattr(build, "build_into_store", remember)
    return recipes


@pytest.mark.parametrize(
    ("words", "recipe"),
    [
        ("", NodeImageRecipe()),
        ("--suite trixie --package htop", NodeImageRecipe(suite="trixie", packages=("htop",))),
        ("--kubernetes 1.34", NodeImageRecipe(k8s_version="1.34")),
        (
            "--kubernetes 1.34 --kubernetes-repository http://lab.example --kubernetes-key k.asc",
            NodeImageRecipe(
                k8s_version="1.34",
                kubernetes_repository="http://lab.example",
                kubernetes_key=Path("k.asc"),
            ),
        ),
        (
            "--kubernetes 1.34 --packages debs --container-images tars",
            NodeImageRecipe(
                k8s_version="1.34", kubernetes_packages=Path("debs"), container_images=Path("tars")
            ),
        ),
        ("--container-images tars", NodeImageRecipe(container_images=Path("tars"))),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_the_recipe_is_what_was_asked_for(
    asked: list[NodeImageRecipe],
    words: str,
    recipe: NodeImageRecipe,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["image", "build", *words.split()]) == 0
    assert asked == [recipe]
    assert "Built image 1.34.2" in capsys.readouterr().out


@pytest.mark.usefixtures("workspace")
def test_what_contradicts_itself_is_refused(
    asked: list[NodeImageRecipe], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "build", "--packages", "debs"]) == 1
    assert "no Kubernetes version" in capsys.readouterr().err
    assert not asked
