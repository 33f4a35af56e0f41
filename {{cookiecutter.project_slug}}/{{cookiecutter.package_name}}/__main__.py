"""READ. What `python -m` runs, followed by this package's name."""

import sys
from pathlib import Path

if __name__ == "__main__":
    if not __package__:
        package = Path(__file__).resolve().parent
        print(
            f"Run the package, not a file in it: python -m {package.name} (in {package.parent})",
            file=sys.stderr,
        )
        sys.exit(2)

    from .cli import main

    sys.exit(main())
