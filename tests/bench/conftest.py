"""A recorded run, as small as it may be."""

import pytest
from efficacy.measures import run
from efficacy.record import Raw, Satisfied

MIB = 1 << 20


def pod_sample(**changes):
    zeros = dict.fromkeys(
        (
            "memory_bytes", "swap_bytes", "anon_bytes", "file_bytes", "major_faults",
            "refaults_anon", "refaults_file", "pressure_some_s", "pressure_full_s", "oom_kills",
            "inactive_file_bytes", "active_file_bytes", "cpu_s",
        ),
        0,
    )  # fmt: skip
    return zeros | changes


def sample(at_s, pods, threads=None, **node):
    counts = dict.fromkeys(
        (
            "swapped_in_pages", "swapped_out_pages", "major_faults", "direct_scanned_pages",
            "pressure_some_s", "pressure_full_s",
        ),
        0,
    )  # fmt: skip
    return {
        "at_s": at_s,
        "memory": {"available_bytes": 170 * MIB, "total_bytes": 1089 * MIB},
        "node": counts | node,
        "threads_cpu_s": threads or {},
        "pods": pods,
    }


def raw_of(contender="none", repetition=1, *, satisfied_s=4.0, scenario="main", load=2.0):
    """Cold for 60 s, of 250 MiB 100 are given up and 2.5 come back; a spike; 20 s of hold."""
    idle = {"anon_bytes": 250 * MIB}
    satisfied = {"begin_s": 160, "end_s": 160 + satisfied_s} if satisfied_s else None
    spiked_s = 160 + (satisfied_s or 90)
    return Raw.model_validate(
        {
            "facts": {
                "scenario": scenario,
                "contender": contender,
                "repetition": repetition,
                "boot": "b1",
                "release": "6.12.117",
                "accelerator": "tcg",
                "total_bytes": 1089 * MIB,
                "host_load": load,
                "seconds": {"cold": 60, "spike": 90, "hold": 20},
            },
            "pods": {
                "critical": {"priority": 90, "cold_bytes": 0},
                "idle": {"priority": 10, "cold_bytes": 245 * MIB},
            },
            "steps": [
                {"name": "cold", "begin_s": 100, "end_s": 160},
                {"name": "spike", "begin_s": 160, "end_s": spiked_s},
                {"name": "hold", "begin_s": spiked_s, "end_s": spiked_s + 20},
            ],
            "samples": [
                sample(
                    100.2,
                    {
                        "idle": pod_sample(**idle, refaults_anon=10, major_faults=3),
                        "critical": pod_sample(anon_bytes=200 * MIB, cpu_s=1),
                        "damon-agent": pod_sample(cpu_s=5, memory_bytes=40 * MIB),
                    },
                    {"kswapd0:40": 1.0},
                ),
                sample(
                    159.9,
                    {
                        "idle": pod_sample(
                            anon_bytes=150 * MIB,
                            swap_bytes=100 * MIB,
                            refaults_anon=650,
                            major_faults=5,
                        ),
                        "critical": pod_sample(anon_bytes=200 * MIB, cpu_s=20),
                        "damon-agent": pod_sample(cpu_s=9, memory_bytes=48 * MIB),
                    },
                    {"kswapd0:40": 1.0, "kdamond.0:99": 3.0},
                    pressure_some_s=0.5,
                    swapped_out_pages=25600,
                ),
                sample(
                    spiked_s + 20.1,
                    {
                        "critical": pod_sample(
                            anon_bytes=180 * MIB, swap_bytes=20 * MIB, major_faults=7, cpu_s=30
                        ),
                        "damon-agent": pod_sample(cpu_s=10, memory_bytes=44 * MIB),
                    },
                    {"kswapd0:40": 4.5, "kdamond.1:120": 2.0},
                    pressure_some_s=3.5,
                    swapped_out_pages=51200,
                    swapped_in_pages=256,
                ),
            ],
            "windows": {
                "critical": [
                    {"begin_s": 159.5, "end_s": 159.9, "buckets": {64: 400}},
                    {"begin_s": 159.9, "end_s": 160.9, "buckets": {64: 90, 200: 10}},
                ]
            },
            "satisfied": satisfied,
            "told": {"cpu_s": 1.5},
        }
    )


def with_files(raw):
    """Return the run as if idle had 150 MiB of page cache: 60 go, 5,120 pages come back."""
    before = {"memory_bytes": 300 * MIB, "inactive_file_bytes": 50 * MIB}
    raw = with_idle(
        raw,
        {"file_bytes": 150 * MIB, "refaults_file": 512},
        {"file_bytes": 90 * MIB, "refaults_file": 5632, **before},
    )
    idle = raw.pods["idle"].model_copy(update={"cold_file_bytes": 130 * MIB})
    return raw.model_copy(update={"pods": dict(raw.pods) | {"idle": idle}})


def with_idle(raw, *changes):
    """Return the run with other figures of idle in its first samples."""
    samples = [
        sample.model_copy(
            update={"pods": dict(sample.pods) | {"idle": sample.pods["idle"].model_copy(update=c)}}
        )
        for sample, c in zip(raw.samples, changes, strict=False)
    ]
    return raw.model_copy(update={"samples": (*samples, raw.samples[2])})


@pytest.fixture(name="raw_with_huge_pages")
def raw_with_huge_pages_fixture():
    """Return the run as if idle had 240 MiB in huge pages at first, and 4 before the spike."""
    return with_idle(raw_of(), {"huge_bytes": 240 * MIB}, {"huge_bytes": 4 * MIB})


@pytest.fixture(name="raw_of_disk")
def raw_of_disk_fixture():
    """Return the run as if swap were a disk, and 80 MiB still in memory of what idle gave up."""
    raw = with_idle(raw_of(), {}, {"swap_cached_bytes": 80 * MIB})
    return raw.model_copy(update={"facts": raw.facts.model_copy(update={"swap": "disk"})})


@pytest.fixture(name="raw_with_files")
def raw_with_files_fixture():
    return with_files(raw_of())


@pytest.fixture(name="raw")
def raw_fixture():
    return raw_of()


@pytest.fixture(name="raws")
def raws_fixture():
    return raw_of


@pytest.fixture(name="runs")
def runs_fixture(raws):
    seconds = {"none": (30.0, 10.0, None), "enforce": (4.0, 6.0, 5.0)}
    return [
        run(raws(contender, repetition, satisfied_s=satisfied_s))
        for contender, every in seconds.items()
        for repetition, satisfied_s in enumerate(every, 1)
    ]


def crowd(raw, times_s, killed=0):
    """Return the run as if there were so many sandboxes instead of idle, the first ones killed."""
    names = [f"sandbox-{number}" for number in range(len(times_s))]
    idle = raw.pods["idle"].model_copy(update={"asks": True})
    samples = [
        sample.model_copy(
            update={"pods": dict(sample.pods) | dict.fromkeys(names, sample.pods["idle"])}
        )
        for sample in raw.samples[:2]
    ]
    victim = samples[1].pods[names[0]].model_copy(update={"oom_kills": 1})
    samples[1] = samples[1].model_copy(
        update={"pods": dict(samples[1].pods) | dict.fromkeys(names[:killed], victim)}
    )
    served = {
        name: {"begin_s": 160, "end_s": 160 + seconds}
        for name, seconds in zip(names, times_s, strict=True)
        if seconds is not None
    }
    changed = {
        "pods": {"critical": raw.pods["critical"]} | dict.fromkeys(names, idle),
        "samples": (*samples, raw.samples[2]),
        "served": {name: Satisfied.model_validate(told) for name, told in served.items()},
    }
    return run(raw.model_copy(update=changed))


@pytest.fixture(name="crowd")
def crowd_fixture():
    return crowd
