"""A new project of the user's own, laid out to start from."""

import shutil
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import CONFIGS, HOME


def lay_out(folder: Path) -> str:
    """Copy a small project into a new or empty folder; return what to type next.

    Raises `GradscapeError` if the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GradscapeError(f"{folder}: is not empty; name a new folder")
    shutil.copytree(CONFIGS / "new", folder, dirs_exist_ok=True)
    shutil.copytree(HOME / "profiles" / "default", folder / "profiles" / "default")
    config = folder / "config.yaml"
    line = f"# yaml-language-server: $schema={CONFIGS / 'schema.json'}\n"  # for editors
    config.write_text(line + config.read_text("utf-8"), "utf-8")
    return (
        f"{folder}/ holds a configuration, a network, a claim and a Snakefile.\n"
        f"cd {folder} && snakemake --cores 2    # ends in results/mine/report.pdf"
    )
