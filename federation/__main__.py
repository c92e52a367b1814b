"""`python -m federation` is the command `federation`."""

from __future__ import annotations

import sys

from federation.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
