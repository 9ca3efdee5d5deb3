"""Makes ``pytest exercises/…`` check the exercises; the code is in groundup.course."""

from groundup.course.exercises.pytest_plugin import *  # noqa: F403
