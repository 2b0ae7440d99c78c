# ruff: noqa: INP001, T201 - a script, no package; it talks to whoever called `make`
"""Check the links of every Markdown file of the project: `links.py [--external] [ROOT]`.

A relative link leads to a file that is there, and its anchor to a heading of that file, by the
names that code forges give to headings. Links to other sites are not followed, because a build must
not depend on them: --external lists them instead, for whoever wants to look.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FENCE: Final = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[`~]*[ ]*$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)
_LINK: Final = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING: Final = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_NAMED: Final = re.compile(r"\b(?:id|name)=\"([^\"]+)\"")


@dataclass(frozen=True, order=True)
class Link:
    """A link as it is written in a file."""

    file: Path
    target: str

    @property
    def is_external(self) -> bool:
        """Whether it leads to another site."""
        return re.match(r"[a-z][a-z0-9+.-]*:", self.target) is not None


def documents(root: Path) -> list[Path]:
    """Return the Markdown files of a checkout, without what is built or hidden in it."""
    return sorted(
        path
        for path in root.rglob("*.md")
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.relative_to(root).parts[0] not in {"out", "dist"}
    )


def links(file: Path) -> Iterator[Link]:
    """Yield the links of a file; what stands in code is none."""
    text = _CODE.sub("", _FENCE.sub("", file.read_text(encoding="utf-8")))
    yield from (Link(file, target) for target in _LINK.findall(text))


def anchors(file: Path) -> set[str]:
    """Return what an anchor may name in a file: its headings, numbered where they repeat."""
    text = _FENCE.sub("", file.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for heading in _HEADING.findall(text):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    numbered = {f"{slug}-{n}" for slug, last in found.items() for n in range(1, last + 1)}
    return set(found) | numbered | set(_NAMED.findall(text))


def fault(link: Link) -> str | None:
    """Return what is wrong with a link into the project; None: nothing."""
    path, _, anchor = link.target.partition("#")
    target = (link.file.parent / path) if path else link.file
    if not target.exists():
        return f"no file {path}"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"no heading #{anchor} in {path or 'this file'}"
    return None


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong and return 1, or with --external list the links to other sites."""
    parser = argparse.ArgumentParser(prog="links.py", description=__doc__)
    parser.add_argument("--external", action="store_true", help="list links to other sites")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="default: this checkout")
    options = parser.parse_args(arguments)
    found = [link for file in documents(options.root) for link in links(file)]
    if options.external:
        outside = sorted({link.target for link in found if link.is_external})
        print("\n".join([f"{len(outside)} links to other sites, not followed:", *outside]))
        return 0
    wrong = [
        f"{link.file.relative_to(options.root)}: ({link.target}): {what}"
        for link in found
        if not link.is_external and (what := fault(link)) is not None
    ]
    print("\n".join(wrong) or f"{len(found)} links of Markdown files: none leads nowhere")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
