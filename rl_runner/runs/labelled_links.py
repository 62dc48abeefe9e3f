"""Links to experiments under names for people, for a tool that shows folder names (TensorBoard).

An experiment's folder is named by a hash. A link to it is named by its config's name and, where
several experiments have that name, by what differs between them.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rl_runner.config import ExperimentConfig, load_config
from rl_runner.config.identity import describe_configs
from rl_runner.errors import ConfigError
from rl_runner.layout import CONFIG

NOT_IN_A_NAME = re.compile(r"[^\w.,=+\-\[\] ]")


def labelled_folders(directory: Path) -> dict[str, Path]:
    """Return the folders below a runs folder, by a name for people.

    A folder that is no experiment keeps its name, and so does one whose config cannot be read.
    """
    folders = sorted(entry for entry in directory.iterdir() if entry.is_dir())
    configs = {folder: config for folder in folders if (config := _config(folder)) is not None}
    differing = _what_differs(configs)
    names = {folder: folder.name for folder in folders}
    for folder, config in configs.items():
        text = NOT_IN_A_NAME.sub("_", differing.get(folder, ""))
        names[folder] = f"{config.name} {text}".rstrip()
    counts = Counter(names.values())
    return {name if counts[name] == 1 else folder.name: folder for folder, name in names.items()}


def what_differs(folders: Iterable[Path]) -> dict[Path, str]:
    """Return what differs between experiments whose configs have the same name, by folder.

    Experiments that are alone with their name, or whose configs cannot be read, are left out.
    """
    configs = {folder: config for folder in folders if (config := _config(folder)) is not None}
    return _what_differs(configs)


def _what_differs(configs: Mapping[Path, ExperimentConfig]) -> dict[Path, str]:
    by_name: dict[str, list[Path]] = {}
    for folder, config in configs.items():
        by_name.setdefault(config.name, []).append(folder)
    found: dict[Path, str] = {}
    for name, same in by_name.items():
        if len(same) > 1:
            labels = describe_configs([configs[folder] for folder in same])
            found |= {f: label for f, label in zip(same, labels, strict=True) if label != name}
    return found


def _config(folder: Path) -> ExperimentConfig | None:
    try:
        return load_config(folder) if (folder / CONFIG).is_file() else None
    except ConfigError:  # written by another version, or edited
        return None


def update_links(directory: Path, links: Path) -> None:
    """Let ``links`` hold one link to each folder of a runs folder, under its name for people.

    :param links: a folder that holds nothing else
    """
    with contextlib.suppress(FileNotFoundError):  # a folder may vanish meanwhile
        wanted = {name: folder.resolve() for name, folder in labelled_folders(directory).items()}
        for link in links.iterdir():
            if wanted.get(link.name) != link.readlink():
                link.unlink()
        for name, target in wanted.items():
            if not (links / name).is_symlink():
                (links / name).symlink_to(target, target_is_directory=True)
