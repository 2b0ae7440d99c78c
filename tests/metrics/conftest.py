"""What Prometheus sees: its own parser, and a client as patient as Prometheus."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families


class Page:
    """A parsed answer."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [s for family in self.families.values() for s in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample with this name and these labels; None if there is none."""
        found = [s for s in self.samples if s.name == name and s.labels.items() >= labels.items()]
        assert len(found) <= 1, found
        return found[0].value if found else None

    def labels(self) -> dict[str, set[str]]:
        """Return every label with its values."""
        values: dict[str, set[str]] = {}
        for sample in self.samples:
            for name, value in sample.labels.items():
                values.setdefault(name, set()).add(value)
        return values


def _scrape(port: int, **headers: str) -> Page:
    url = f"http://127.0.0.1:{port}/metrics"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return Page(answer.read().decode())


@pytest.fixture(name="scrape", scope="session")
def scrape_fixture():
    return _scrape


@pytest.fixture(name="page", scope="session")
def page_fixture():
    """Return a function from families to what is served of them."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    class Held:
        def __init__(self, families):
            self._families = families

        def collect(self):
            return self._families

    def page(families) -> Page:
        registry = CollectorRegistry()
        registry.register(Held(list(families)))
        return Page(generate_latest(registry).decode())

    return page
