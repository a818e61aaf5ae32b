"""The Debian package, made of the binaries under test."""

import functools
import os
import pathlib
import shutil
import tempfile
import unittest

from .daemon_process import BIN_DIR
from .scratch_root import run
from .waiting import under_sanitizer

NAME = "infinilm-services"
BUILD_DIR = BIN_DIR.parent
_TOOLS = ("cpack", "dpkg", "dpkg-deb", "dpkg-shlibdeps", "readelf", "useradd", "groff")


@functools.cache
def package():
    """(folder, package, its control files, its tree): made once for all tests of a file, which takes the longest."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-test-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, True)
    made = run("cpack", "-G", "DEB", "-B", folder / "cpack", "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip", cwd=BUILD_DIR,
               timeout=300)
    assert made.returncode == 0, made.stdout
    [deb] = (folder / "cpack").glob("*.deb")
    for flag, target in (("-e", "control"), ("-x", "tree")):
        done = run("dpkg-deb", flag, deb, folder / target)
        assert done.returncode == 0, done.stdout
    return folder, deb, folder / "control", folder / "tree"


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if under_sanitizer():
            raise unittest.SkipTest("a package is not made of instrumented binaries")
        if not (BUILD_DIR / "CPackConfig.cmake").exists():
            raise unittest.SkipTest(f"{BUILD_DIR} is no build tree")
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        missing = [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]
        if missing:
            raise unittest.SkipTest(f"needs {', '.join(missing)} (scripts/install_deps.sh --dev)")
        cls.folder, cls.deb, cls.control, cls.tree = package()
