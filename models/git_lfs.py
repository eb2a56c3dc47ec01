"""Pointers of Git LFS, which lie in place of large files where a repository was cloned without Git LFS."""

from pathlib import Path

_START = b"version https://git-lfs.github.com/spec/"
REMEDY = "is a pointer of Git LFS, not the file itself; run 'git lfs pull' in its repository."
"""What to say of such a file, after its path."""


def is_pointer(content: bytes) -> bool:
    """Whether a file that begins with these bytes is a pointer."""
    return content.startswith(_START)


def is_pointer_file(path: Path) -> bool:
    """Whether the file is a pointer; False for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            return is_pointer(file.read(len(_START)))
    except OSError:
        return False
