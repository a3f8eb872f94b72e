"""Everything about the package is in pyproject.toml; here is only where setuptools puts what it makes on the way.

By default that is ./build, and whatever an earlier build left there goes into the next wheel. So each build has a new
folder.
"""

from tempfile import TemporaryDirectory

from setuptools import setup

with TemporaryDirectory(prefix="larch-cnpredict-") as folder:
    setup(options={"build": {"build_base": folder}})
