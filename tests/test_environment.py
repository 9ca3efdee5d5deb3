"""A clone that was copied or moved with its environment says so; one that was not, just works."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]


def call(command: list[str | Path], cwd: Path, **environment: str) -> Done:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MAKE", "MFLAGS"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def make_clone(root: Path) -> Path:
    """A clone with chapter 5: what the learner's commands need."""
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "lib", root / "lib", ignore=skip)
    for folder in ("exercises/ch05_training", "solutions/ch05_training"):
        shutil.copytree(ROOT / folder, root / folder, ignore=skip)
    (root / "chapters").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "exercises/conftest.py"):
        shutil.copy(ROOT / name, root / name)
    return root


def make_environment(root: Path, by_make: bool) -> Path:
    """An environment such as pip leaves it in ``root/.venv``, with the packages of this one."""
    made = call([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], root)
    assert made.returncode == 0, made.stderr
    python = root / ".venv/bin/python"
    packages = next((root / ".venv/lib").glob("python*/site-packages"))
    (packages / "__editable__.groundup-0.1.0.pth").write_text(f"{root / 'lib'}\n")
    (packages / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    command = root / ".venv/bin/groundup"
    # As pip writes it: with the path of Python, by way of the shell since that may hold a space.
    command.write_text(
        f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
        "import sys\nfrom groundup.cli import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    if by_make:
        settled = call([python, "-m", "groundup.course.environment"], root)
        assert settled.returncode == 0, settled.stderr
        for stamp in (".core", ".full"):
            (root / ".venv" / stamp).touch()
    return root


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose environment make has made; its path has a space."""
    root = tmp_path_factory.mktemp("a folder") / "my clone"
    return make_environment(make_clone(root), by_make=True)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose environment was made with venv and pip alone."""
    root = tmp_path_factory.mktemp("hand") / "clone"
    return make_environment(make_clone(root), by_make=False)


def copied(root: Path, place: Path) -> Path:
    shutil.copytree(root, place, symlinks=True)
    return place


def moved(root: Path, place: Path) -> Path:
    """A copy made in another place first, so that the clone of the other tests remains."""
    source = place.with_name("before the move")
    shutil.copytree(root, source, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    make_environment(source, by_make=True)
    source.rename(place)
    return place


def groundup(root: Path) -> list[list[str | Path]]:
    """The ways to call it."""
    return [[root / ".venv/bin/groundup"], [root / ".venv/bin/python", "-m", "groundup"]]


def assert_refused(done: Done, *words: str | Path) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in ("make setup", *words):
        assert str(word) in line, line
    assert done.stdout == ""


def where(root: Path, cwd: Path, **environment: str) -> Path:
    """The library that the Python of a clone runs."""
    code = "import groundup; print(groundup.__file__)"
    done = call([root / ".venv/bin/python", "-c", code], cwd, **environment)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).parents[1]


def test_at_home(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    command = tmp_path / "groundup"
    command.symlink_to(home / ".venv/bin/groundup")
    (script, module), (linked, _) = groundup(home), groundup(link)
    for way, cwd in (
        (script, home),
        (script, tmp_path),
        (module, link),
        (linked, link),
        (linked, home),
        ([command], home / "chapters"),
    ):
        done = call([*way, "start"], cwd)
        assert done.returncode == 0, done.stderr
        assert "exercises/ch05_training" in done.stdout
    assert where(home, tmp_path) == home / "lib"


def test_an_environment_on_another_disk(tmp_path: Path) -> None:
    """A clone whose .venv is a link: it is its own environment."""
    root = make_environment(make_clone(tmp_path / "clone"), by_make=True)
    (root / ".venv").rename(tmp_path / "disk")
    (root / ".venv").symlink_to(tmp_path / "disk")
    for way in groundup(root):
        assert call([*way, "start"], root).returncode == 0
    assert rebuilds(root) is False


def test_a_copy_says_so(home: Path, tmp_path: Path) -> None:
    root = copied(home, tmp_path / "a copy")
    for way, cwd in zip(groundup(root), (root, tmp_path), strict=True):
        for arguments in (["check", "5.1"], ["digits", "ask", "Max ( 5 )"]):
            assert_refused(call([*way, *arguments], cwd), home / ".venv", root)
    assert where(root, tmp_path) == root / "lib"
    # The original is not concerned.
    assert call([home / ".venv/bin/groundup", "start"], home).returncode == 0


def test_a_moved_clone_says_so(home: Path, tmp_path: Path) -> None:
    root = moved(home, tmp_path / "now")
    for way in groundup(root):
        assert_refused(call([*way, "start"], tmp_path), "before the move", root)
    assert where(root, tmp_path) == root / "lib"


def test_a_copy_of_an_environment_made_by_hand(by_hand: Path, tmp_path: Path) -> None:
    assert call([by_hand / ".venv/bin/groundup", "start"], by_hand).returncode == 0
    root = copied(by_hand, tmp_path / "copy")
    command, module = groundup(root)
    assert_refused(call([*module, "start"], tmp_path), by_hand, root)
    assert_refused(call([*command, "check", "5.1"], root), by_hand, root)  # the original's script


def test_one_clone_does_not_judge_another(home: Path, by_hand: Path, tmp_path: Path) -> None:
    (inner := home / "inner").mkdir()
    other = make_clone(inner / "other clone")
    try:
        for root, cwd in ((home, other), (by_hand, other / "exercises")):
            script, module = groundup(root)
            for command in ([*script, "check", "5.1"], [*module, "start"]):
                assert_refused(call(command, cwd), root, other, other / ".venv/bin/groundup")
        python = home / ".venv/bin/python"
        done = call([python, "-m", "pytest", "exercises/ch05_training"], other)
        assert done.returncode == 4, done.stdout
        assert "make setup" in done.stdout + done.stderr
        # What needs no clone works from anywhere.
        assert call([home / ".venv/bin/groundup", "runs", "--help"], other).returncode == 0
    finally:
        shutil.rmtree(inner)


def test_code_that_was_asked_for_by_a_path(home: Path, by_hand: Path, tmp_path: Path) -> None:
    """A worktree that borrows an environment, its own library first."""
    root = make_clone(tmp_path / "worktree")
    own = {"PYTHONPATH": str(root / "lib")}
    for lender, cwd in ((home, tmp_path), (by_hand, root)):
        assert where(lender, cwd, **own) == root / "lib"
        done = call([lender / ".venv/bin/python", "-m", "groundup", "start"], cwd, **own)
        assert done.returncode == 0, done.stderr


def test_a_library_outside_of_any_clone(home: Path, tmp_path: Path) -> None:
    """Installed without the repository: it serves the clone that it is called in."""
    place = tmp_path / "site"
    shutil.copytree(home / "lib", place)
    root = make_clone(tmp_path / "clone")
    python, given = home / ".venv/bin/python", {"PYTHONPATH": str(place)}
    done = call([python, "-m", "groundup", "start"], root, **given)
    assert done.returncode == 0, done.stderr
    assert_refused(call([python, "-m", "groundup", "start"], tmp_path, **given), "repository")


def rebuilds(root: Path, *arguments: str) -> bool:
    """Whether make would make the environment again; nothing is run."""
    done = call(["make", "-n", "first", *arguments], root)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    begun = any(line.startswith("rm -rf .venv") for line in lines)
    assert begun == any("-m venv .venv" in line for line in lines)
    assert begun == any("pip install" in line for line in lines)
    assert begun == ("makes it again" in done.stdout)
    return begun


def test_make_knows_a_copy(home: Path, tmp_path: Path) -> None:
    assert rebuilds(home) is False
    link = tmp_path / "link"
    link.symlink_to(home)
    assert rebuilds(link) is False
    root = copied(home, tmp_path / "a copy")
    assert rebuilds(root) is True
    assert str(home / ".venv") in call(["make", "-n", "help"], root).stdout
    shutil.rmtree(root / ".venv")
    (root / ".venv").symlink_to(home / ".venv")
    assert rebuilds(root) is False  # not a copy: the very environment, borrowed
    assert rebuilds(moved(home, tmp_path / "now")) is True


def test_make_knows_an_environment_whose_python_is_gone(home: Path, tmp_path: Path) -> None:
    root = make_environment(make_clone(tmp_path / "clone"), by_make=True)
    assert rebuilds(root) is False
    for name in ("python", "python3"):
        (root / ".venv/bin" / name).unlink()
    (root / ".venv/bin/python").symlink_to(tmp_path / "gone")
    assert rebuilds(root) is True


# Stands for Python: `-m venv` makes a folder whose Python is this script too; each call is noted.
STUB = """#!/bin/sh
echo "$0 $*" >> "{log}"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


def stub(folder: Path) -> tuple[Path, Path]:
    python, log = folder / "python", folder / "log"
    python.write_text(STUB.replace("{log}", str(log)))
    python.chmod(0o755)
    return python, log


def test_make_makes_it_again(home: Path, tmp_path: Path) -> None:
    root = copied(home, tmp_path / "a copy")
    python, log = stub(tmp_path)
    done = call(["make", "first", f"PYTHON={python}"], root)
    assert done.returncode == 0, done.stderr
    assert not (root / ".venv/pyvenv.cfg").exists()  # nothing is left of the copy
    calls = log.read_text().splitlines()
    assert f"{python} -m venv .venv" in calls
    assert any("pip install" in each and "-c constraints.txt -e ." in each for each in calls)
    assert ".venv/bin/python -m groundup.course.environment" in calls
    assert (root / ".venv/.core").is_file()


def installs(root: Path, folder: Path, *arguments: str) -> list[str]:
    python, log = stub(folder)
    done = call(["make", *arguments, f"PYTHON={python}"], root)
    assert done.returncode == 0, done.stderr
    return [each for each in log.read_text().splitlines() if "pip install" in each]


def options(call: str) -> Mapping[str, str]:
    words = call.split()
    return {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("-")}


def test_torch_alone_comes_from_its_own_index(tmp_path: Path) -> None:
    root = make_clone(tmp_path / "clone")
    torch, rest = installs(root, tmp_path, "setup", "TORCH=cpu")
    assert "--no-deps" in torch
    assert torch.endswith(" torch")
    assert "pytorch.org" in options(torch)["--index-url"]
    assert "index" not in rest
    for each in (torch, rest):
        assert options(each)["-c"] == "constraints.txt"


def test_the_newest_versions_go_to_an_environment_of_their_own(tmp_path: Path) -> None:
    root = make_clone(tmp_path / "clone")
    (each,) = installs(root, tmp_path, "newest")
    assert each.startswith(".venv-newest/bin/python ")
    assert options(each)["-c"] == ".ci/caps.txt"
    assert not (root / ".venv").exists()


def test_an_unknown_build_of_torch_is_refused(home: Path) -> None:
    done = call(["make", "-n", "setup", "TORCH=gpu"], home)
    assert done.returncode == 2
    assert "TORCH is cpu or empty: got gpu" in done.stderr
