"""The two sides of an A/B as the user names them: a git revision, the working tree, or a folder."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatebench.errors import UserError
from gatebench.run.git import git, run_git

WORKING_TREE = "working tree"
_REVISIONS = "a git revision (branch, tag, commit) or a folder is accepted"


@dataclass(frozen=True)
class Side:
    """One side before anything is copied: what was given, and where its code is.

    sha is None for a folder; dirty: files differ from sha, and are measured as they are; folder is None for a revision.
    """

    name: str  # base or head
    given: str
    sha: str | None = None
    dirty: bool = False
    subject: str | None = None
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a plan keeps of the side: nothing of where it lay."""
        given = self.folder.name if self.folder and self.given != WORKING_TREE else self.given
        return {key: value for key, value in asdict(self).items() if key not in ("name", "folder")} | {"given": given}

    def __str__(self) -> str:
        words = [self.to_json()["given"]]
        if self.sha and not self.sha.startswith(self.given):
            words.append(self.sha[:10])
        return " ".join(words) + (", with changes that are not committed" if self.dirty else "")


def repository(start: Path) -> Path:
    """Return the root of the git repository around a folder; raises UserError where there is none."""
    asked = run_git(start, "rev-parse", "--show-toplevel")
    if asked is None or asked.returncode != 0:
        said = " ".join(asked.stderr.split()) if asked else "git is not installed"
        what = "not a git repository" if "not a git repository" in said else said
        raise UserError(
            "ab", what, "a folder inside a git repository, or two folders, are accepted",
            "`gatebench ab FOLDER_A FOLDER_B SUITE` compares folders",
        )  # fmt: skip
    return Path(asked.stdout.rstrip("\n"))


def resolve(base: str | None, head: str | None, here: Path) -> tuple[Side, Side]:
    """Return both sides. Without base: the merge-base with the default branch; without head: the working tree.

    Raises UserError outside a repository, for an unknown revision, and where no default branch is found.
    """
    for name, given in (("base", base), ("head", head)):
        if given is not None and not given.strip():
            raise UserError(name, "an empty name", _REVISIONS, "in CI: is the variable set for this event?")
    head_side = _working_tree(here) if head is None else _named("head", head, here)
    base_side = _merge_base(here, head) if base is None else _named("base", base, here)
    return base_side, head_side


def _named(name: str, given: str, here: Path) -> Side:
    sha = git(here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{given}^{{commit}}")
    if sha is None and (folder := _folder(here, given)) is not None:
        return Side(name, given, folder=folder)
    if sha is None:
        repository(here)  # says so where that is the reason
        next_step = f"`git fetch origin {given}`, or fetch-depth: 0 in CI, where the clone is shallow"
        raise UserError(name, f"{given!r} is unknown here", _REVISIONS, next_step)
    return _revision(name, given, sha.strip(), here)


def _folder(here: Path, given: str) -> Path | None:
    try:
        return (here / given).resolve() if (here / given).is_dir() else None
    except OSError:
        return None  # too long to be a path


def _revision(name: str, given: str, sha: str, here: Path) -> Side:
    subject = (git(here, "log", "-1", "--format=%s", sha) or "").strip()
    return Side(name, given, sha, subject=subject)


def _working_tree(here: Path) -> Side:
    root = repository(here)
    sha = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if sha is None:
        raise UserError("head", "the repository has no commit", _REVISIONS, "commit, or compare two folders")
    side = _revision("head", WORKING_TREE, sha.strip(), root)
    dirty = bool((git(root, "status", "--porcelain", "--untracked-files=normal") or "").strip())
    return Side("head", WORKING_TREE, side.sha, dirty, side.subject, root)


def _merge_base(here: Path, head: str | None) -> Side:
    root = repository(here)
    branch = default_branch(root)
    found = git(root, "merge-base", branch, head or "HEAD")
    if found is None:
        raise UserError(
            "base", f"{branch} and {head or 'HEAD'} have no common commit here", _REVISIONS,
            "name the base, or fetch more history (fetch-depth: 0 in CI)",
        )  # fmt: skip
    return _revision("base", f"merge-base with {branch}", found.strip(), root)


def default_branch(root: Path) -> str:
    """Return the branch that the repository's work starts from: origin's HEAD, else main or master."""
    origin = git(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    candidates = [*([origin.strip()] if origin else []), "origin/main", "origin/master", "main", "master"]
    for name in candidates:
        if git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
            return name
    raise UserError("base", f"no default branch ({', '.join(candidates)}) is here", _REVISIONS,
                    "name the base, or fetch it (fetch-depth: 0 in CI)")  # fmt: skip
