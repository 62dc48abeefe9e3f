"""The tutor's page: a :class:`~.view.TutorView` as a picture or as text."""

from rl_runner.envs.tutor.page.picture.layout import draw_page, render_page
from rl_runner.envs.tutor.page.text import render_text

__all__ = ["draw_page", "render_page", "render_text"]
