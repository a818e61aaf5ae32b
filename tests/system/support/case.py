"""The base class of the system tests."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

from .registry_process import Registry


class SystemTest(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-test-"))
        self.registries = []
        self.addCleanup(self._remove_folder)

    def _remove_folder(self):
        if os.environ.get("INFINILM_KEEP"):
            print(f"{self.id()}: files kept in {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_registry(self, *flags, name="registry", **options):
        """A registry that is not started yet; ended with the test."""
        registry = Registry(self.folder / name, *flags, **options)
        self.registries.append(registry)
        self.addCleanup(registry.cleanup)
        return registry

    def start_registry(self, *flags, **options):
        return self.new_registry(*flags, **options).start()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def assert_error(self, response, status, message):
        """The answer is {"error": message} with that status, compact JSON."""
        self.assertEqual((response.status, response.text and response.json().get("error")), (status, message))
        self.assertEqual(response.header("Content-Type"), "application/json")
        self.assertNotIn('": ', response.text.split('"error":', 1)[0])


def main():
    unittest.main(verbosity=int(os.environ.get("INFINILM_TEST_VERBOSITY", "2")))
