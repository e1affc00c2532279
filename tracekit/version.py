"""The version, read from the installed package."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("tracekit")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0"
TOOL = f"tracekit {VERSION}"
