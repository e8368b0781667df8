"""safebench: an executable reporting card for the safety of fine-tuned language models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safebench.analysis.load import load

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Return a public name when it is asked for: looking them up costs every start of a command."""
    if name == "load":
        from safebench.analysis.load import load

        return load
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("safebench")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
