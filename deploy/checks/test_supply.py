"""Licence expressions are evaluated as SPDX defines them."""

import unittest

from supply import allowed

FREE = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}


class Expressions(unittest.TestCase):
    def test_what_is_allowed(self):
        for text in ("MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND Apache-2.0",
                     "Apache-2.0 WITH LLVM-exception", "GPL-3.0 AND MIT OR Apache-2.0"):
            self.assertTrue(allowed(text, FREE), text)

    def test_what_is_not(self):
        for text in ("GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND GPL-2.0", "MIT WITH Foo-exception"):
            self.assertFalse(allowed(text, FREE), text)


if __name__ == "__main__":
    unittest.main()
