"""Options that name several things in one text, joined by commas."""

from collections.abc import Collection

from engine.errors import OptionError


def named_once(text: str, option: str, known: Collection[str], kind: str) -> tuple[str, ...]:
    """The names in a list such as ``taylor,magnitude``, in its order.

    Raises:
        OptionError: one is unknown or named twice; the sentence names ``option`` and the ``kind`` of thing.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise OptionError(
                f"{option} {name!r} is not known; choose from {', '.join(known)}, joined by commas."
            )
        if names.count(name) > 1:
            raise OptionError(f"{option} names {name} twice; name each {kind} once.")
    return names
