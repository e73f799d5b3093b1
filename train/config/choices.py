"""The groups of configs/, and what may be chosen from each."""

from pathlib import Path


def config_folder() -> Path:
    """Where the YAML files lie: at the root of a checkout, or inside an installed package."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "configs"
    return beside if beside.is_dir() else package / "configs"


def options(group: str) -> list[str]:
    """The choices of a group, from the files in configs/."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def groups() -> list[str]:
    """The groups that a command line may choose from."""
    return sorted(path.name for path in config_folder().iterdir() if path.is_dir())
