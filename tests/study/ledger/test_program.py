"""What is written of the program: git's own commit where there is a repository."""

import subprocess
from pathlib import Path

import pytest

from study.ledger import program


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for command in (
        ["init", "--quiet"],
        ["config", "user.email", "nobody@example.org"],
        ["config", "user.name", "nobody"],
        ["commit", "--quiet", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_a_repository_has_a_commit_and_is_clean_until_something_changes(repository: Path) -> None:
    head = (repository / ".git" / "HEAD").read_text().removeprefix("ref: ").strip()
    commit = (repository / ".git" / head).read_text().strip()
    assert program._repository(repository) == {"commit": commit, "clean": True}
    (repository / "new.py").write_text("1\n")
    assert program._repository(repository) == {"commit": commit, "clean": False}


def test_without_a_repository_the_package_says_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    package = tmp_path / "beta_vaegan_study-9.8.7.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: beta-vaegan-study\n"
                                      "Version: 9.8.7\n")  # fmt: skip
    (package / "direct_url.json").write_text('{"url": "u", "vcs_info": {"commit_id": "c0ffee"}}')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert program.program.__wrapped__() == {"version": "9.8.7", "commit": "c0ffee", "clean": None}
