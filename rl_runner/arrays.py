"""Named arrays in npz files, never pickled."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to exactly ``path`` (``np.savez`` itself would append ``.npz``)."""
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # savez has a flag among its keywords


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`save_arrays` wrote.

    :raises OSError: if the file cannot be read
    :raises ValueError: if it is damaged, or contains anything but plain arrays
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file):
            pass  # NumPy would report any other file as pickled data
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError:
        raise
    except Exception as error:  # a changed bit can trip anything in zipfile, zlib and NumPy
        message = f"not an npz file, or a damaged one ({error or type(error).__name__})"
        raise ValueError(message) from error


def generator_state(generator: np.random.Generator) -> np.ndarray:
    """Return the state of a random generator as an array, for :func:`save_arrays`.

    It is JSON text, because some generators have numbers of 128 bits.
    """
    return np.array(json.dumps(generator.bit_generator.state))


def restore_generator(generator: np.random.Generator, state: np.ndarray) -> None:
    """Bring a generator of the same kind to a :func:`generator_state`.

    :raises ValueError: if it is not the state of such a generator
    """
    generator.bit_generator.state = json.loads(str(state))
