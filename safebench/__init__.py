"""safebench: an executable reporting card for the safety of fine-tuned language models."""

from typing import Any

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    """Return the version when it is asked for: looking it up costs every start of a command."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("safebench")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
