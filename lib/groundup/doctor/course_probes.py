"""The course's own machinery: the packages of Part III, a figure, the files of the exercises."""

import io
from importlib import metadata

from groundup.doctor.machine_probe import Judgement, Numbers, ProbeVerdict
from groundup.lab.errors import UserError


def measure_packages() -> Numbers:
    """Look for every package that the extra ``embed`` names, through the extras it includes."""
    packages = sorted(_requirements("embed"))
    missing = []
    for name in packages:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return {"packages": packages, "missing": missing}


def _requirements(extra: str) -> set[str]:
    """The packages that an extra of this project brings."""
    from packaging.requirements import Requirement

    names = set()
    for requirement in map(Requirement, metadata.requires("groundup") or []):
        if requirement.marker and requirement.marker.evaluate({"extra": extra}):
            own = requirement.name == "groundup"
            names |= (
                set[str]().union(*map(_requirements, requirement.extras))
                if own
                else {requirement.name}
            )
    return names


def judge_packages(numbers: Numbers) -> Judgement:
    """The tour needs them all."""
    if numbers["missing"]:
        measured = f"missing: {', '.join(numbers['missing'])}"
        mend = "pip install -c constraints.txt -e '.[embed]' brings what Part III and the tour need"
        return Judgement(ProbeVerdict.ABSENT, measured, mend)
    return Judgement(ProbeVerdict.OK, f"all {len(numbers['packages'])} found")


def measure_figure() -> Numbers:
    """Draw a curve as the chapters do, and write it as PNG."""
    from groundup.lab.plot import figure, style

    drawn, axes = figure()
    axes.plot([0, 1, 2], [0, 1, 4], label="loss")
    axes.legend()
    file = io.BytesIO()
    import matplotlib

    with matplotlib.rc_context(style()):
        drawn.savefig(file, format="png")
    content = file.getvalue()
    return {"bytes": len(content), "png": content.startswith(b"\x89PNG")}


def judge_figure(numbers: Numbers) -> Judgement:
    """A PNG file with something in it."""
    if not numbers["png"]:
        mend = "pip install --force-reinstall -c constraints.txt matplotlib"
        return Judgement(ProbeVerdict.FAIL, "what was drawn is not a PNG file", mend)
    return Judgement(ProbeVerdict.OK, f"drawn, {numbers['bytes'] / 1e3:.0f} kB of PNG")


def measure_exercises() -> Numbers:
    """Read the catalogue, and compare each file with what the library would give now."""
    from groundup.course import clone
    from groundup.course.authoring import stubs
    from groundup.course.catalogue import catalogue

    try:
        root = clone.root()
    except UserError as error:
        return {"clone": False, "why": str(error)}
    exercises = catalogue(root)
    given = {each.file: stubs.stub_text(each) for each in exercises}
    texts = given | {each.solution: stubs.solution_text(each) for each in exercises}
    different = [
        path
        for path, text in texts.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    edited = {
        path for path in different if path in given and path.is_file() and stubs.is_edited(path)
    }
    stale = [path.relative_to(root).as_posix() for path in different if path not in edited]
    return {"clone": True, "exercises": len(exercises), "edited": len(edited), "stale": stale}


def judge_exercises(numbers: Numbers) -> Judgement:
    """What a learner has edited is their work; any other difference is a fault."""
    if not numbers["clone"]:
        return Judgement(ProbeVerdict.ABSENT, "not checked: no clone to check", numbers["why"])
    if numbers["stale"]:
        more = len(numbers["stale"]) - 1
        measured = f"{numbers['stale'][0]}{f' and {more} more' if more else ''}: not the library's"
        return Judgement(ProbeVerdict.FAIL, measured, "groundup course build writes them again")
    measured = f"{numbers['exercises']} match the library; you have edited {numbers['edited']}"
    return Judgement(ProbeVerdict.OK, measured)
