"""A window on the screen that shows one picture after another."""

import os

import numpy as np
from gymnasium.error import DependencyNotInstalled


class Window:
    """Opens with the first picture, in its size, and stays open until it is closed.

    The user can close it too; the episode then continues without it.

    :param title: the title of the window
    :param fps: pictures per second; :meth:`show` waits accordingly
    """

    def __init__(self, title: str, fps: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print a banner
        try:
            import pygame
        except ImportError as error:
            message = "a window needs pygame: `pip install gymnasium[classic-control]`"
            raise DependencyNotInstalled(message) from error
        self._pygame = pygame
        self._title, self._fps = title, fps
        self._clock = pygame.time.Clock()
        self._screen: pygame.Surface | None = None
        self.is_closed = False

    def show(self, picture: np.ndarray) -> None:
        """Show an RGB picture (height, width, 3) uint8, unless the window has been closed."""
        if self.is_closed:
            return
        pygame = self._pygame
        # Open the window at the first picture, or resize it.
        height, width, _ = picture.shape
        if self._screen is None or self._screen.get_size() != (width, height):
            pygame.display.init()
            self._screen = pygame.display.set_mode((width, height))
            pygame.display.set_caption(self._title)
        surface = pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
        self._screen.blit(surface, (0, 0))
        pygame.display.flip()
        # Unless events are read, the system considers the window unresponsive.
        if pygame.event.get(pygame.QUIT):
            self.close()
        else:
            pygame.event.pump()
            self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window; a second call changes nothing."""
        if self._screen is not None:
            self._pygame.display.quit()
        self._screen = None
        self.is_closed = True
