"""The page in a window (render mode ``human``), through pygame as in Gymnasium's environments."""

import os

import numpy as np

CAPTION = "The business of music"


class PageWindow:
    """A window that shows pictures until it is closed, by its user or by :meth:`close`.

    :param frames_per_second: :meth:`show` waits so that no more pictures are shown than that
    """

    def __init__(self, frames_per_second: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import pygame

        self._pygame = pygame
        self._frames_per_second = frames_per_second
        self._clock = pygame.time.Clock()
        self._screen: pygame.Surface | None = None
        self.is_closed = False

    def show(self, picture: np.ndarray) -> None:
        """Show (height, width, 3) uint8; after the user has closed the window, do nothing."""
        if self.is_closed:
            return
        height, width, _ = picture.shape
        if self._screen is None or self._screen.get_size() != (width, height):
            self._pygame.display.init()
            self._pygame.display.set_caption(CAPTION)
            self._screen = self._pygame.display.set_mode((width, height))
        surface = self._pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
        self._screen.blit(surface, (0, 0))
        self._pygame.display.flip()
        if self._pygame.event.get(self._pygame.QUIT):
            self.close()
            return
        self._pygame.event.pump()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Close the window; closing it again changes nothing."""
        if not self.is_closed and self._screen is not None:
            self._pygame.display.quit()
        self._screen = None
        self.is_closed = True
