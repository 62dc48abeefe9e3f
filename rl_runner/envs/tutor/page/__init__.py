"""The tutor's page: what a person would see of an episode, as a picture or as text.

=========== =======================================================================================
``view``    what the page shows, as plain data
``record``  turns the steps of an episode into a view
``course``  the modules, resources and questions of ``modules.yaml``
``labels``  numbers and states as the page writes them
``phrases`` the sentences of the chat
``picture`` draws a view (render modes ``rgb_array`` and ``human``)
``text``    writes a view for a terminal (render mode ``ansi``)
``window``  shows pictures on the screen
=========== =======================================================================================
"""

from rl_runner.envs.tutor.page.picture.layout import draw_page, render_page
from rl_runner.envs.tutor.page.text import render_text

__all__ = ["draw_page", "render_page", "render_text"]
