"""A window on the screen that shows one picture after the other."""

import numpy as np
from gymnasium.error import DependencyNotInstalled


class Window:
    """Opens with the first picture, as large as it is.

    :param title: what stands in the window's frame
    :param fps: pictures a second; :meth:`show` waits so long
    """

    def __init__(self, title: str, fps: int) -> None:
        try:
            import pygame
        except ImportError as error:
            message = "a window needs pygame: `pip install gymnasium[classic-control]`"
            raise DependencyNotInstalled(message) from error
        self._pygame = pygame
        self._title, self._fps = title, fps
        self._clock = pygame.time.Clock()
        self._open = False

    def show(self, picture: np.ndarray) -> None:
        """Show an RGB picture (height, width, 3) uint8."""
        pygame = self._pygame
        height, width, _ = picture.shape
        if not self._open:
            pygame.display.init()
            pygame.display.set_mode((width, height))
            pygame.display.set_caption(self._title)
            self._open = True
        surface = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        pygame.display.get_surface().blit(surface, (0, 0))
        pygame.event.pump()  # without it the system takes the window for dead
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._pygame.display.quit()
            self._open = False
