"""`python3 -m damon_mock.conformance`: the command without the rest of the package."""

from .command import main

if __name__ == "__main__":
    raise SystemExit(main())
