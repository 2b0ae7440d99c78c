"""What happens to pods in the machine, step by step, and what is asked by it. Data."""

from dataclasses import replace
from typing import Final

from efficacy.scenario import PodPlan, Scenario, Step
from efficacy.schedule import OURS, THEIRS
from efficacy.workloads import cron, file, forks, heap, keys, redis, sandbox, spike, stream

CRITICAL: Final = PodPlan("critical", 90, keys(200))
IDLE: Final = PodPlan("idle", 10, heap(250, hot_mib=5, period_ms=20))
BATCH: Final = PodPlan("batch", 50, heap(150, hot_mib=30, period_ms=3000))
STREAM: Final = PodPlan("stream", 50, stream(400, mib_per_s=20))
SPIKE: Final = PodPlan("spike", 60, spike(250))
MAIN: Final = (CRITICAL, IDLE, BATCH, STREAM, SPIKE)
BUSY: Final = PodPlan("busy", 10, keys(200, hot_permille=1000))
SHARED: Final = file("/shm/shared", "map", 150, hot_mib=0)
AGES: Final = ("none", "loop", "enforce", "enforce_auto")
RECLAIMS: Final = ("none", "loop", "enforce", "enforce_reclaim")
SMALL: Final = heap(10, hot_mib=2, period_ms=1000, tells_latency=False)
"""What sixty told would be megabytes, in the memory of the machine and in the record."""
CROWD: Final = tuple(
    PodPlan(f"p{priority}-{number}", priority, SMALL)
    for priority, pods in {10: 8, 20: 8, 30: 8, 40: 8, 50: 7, 60: 7, 70: 7, 90: 6}.items()
    for number in range(pods)
)
SANDBOXES: Final = tuple(
    PodPlan(f"sandbox-{number}", 10, sandbox(80, compute_ms=2000)) for number in range(20)
)
COLD: Final = Step("cold", 60)
"""The step whose end is `before the spike`."""
TAKE: Final = Step("spike", 90, ("spike",), "spike")
HOLD: Final = Step("hold", 20)
STEPS: Final = (COLD, TAKE, HOLD)
SANDBOX_STEPS: Final = (
    replace(COLD, lasts_s=10),
    Step("start", 260, tuple(pod.name for pod in SANDBOXES), stagger_s=12),
)
_ALL: Final = (
    Scenario(
        "main",
        "A low-priority pod is cold, a middle one has a hot part, memory is asked for at once",
        MAIN,
        STEPS,
        contenders=(*THEIRS, *OURS),
    ),
    Scenario(
        "redis",
        "As main, and the critical pod is redis under load instead of a program made for this",
        (replace(CRITICAL, workload=redis(150)), *MAIN[1:]),
        STEPS,
        contenders=("none", "memory_min", "loop", "enforce"),
    ),
    Scenario(
        "low_is_hot",
        "The low-priority pod is the one that is used, the critical one is cold",
        (
            replace(CRITICAL, workload=heap(250, hot_mib=0, period_ms=20)),
            *(BUSY, BATCH, STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "diurnal",
        "A low-priority pod is cold for a minute, then at work, and that again; no spike",
        (CRITICAL, PodPlan("office", 10, keys(200, awake=False)), BATCH, STREAM),
        (
            COLD,
            Step("day", 30, ("office",)),
            Step("night", 45, ("office",)),
            Step("next_day", 30, ("office",)),
        ),
    ),
    Scenario(
        "days",
        "A low-priority pod sleeps for a minute and works for half of one, five times; no spike",
        (CRITICAL, PodPlan("office", 10, keys(200, awake=False)), BATCH, STREAM),
        (
            COLD,
            Step("day_1", 30, ("office",)),
            *(
                Step(f"{part}_{day}", lasts_s, ("office",))
                for day in range(2, 6)
                for part, lasts_s in (("night", 60), ("day", 30))
            ),
        ),
        contenders=AGES,
    ),
    Scenario(
        "no_swap",
        "There is no swap: nothing cold can be given up, is anything made worse?",
        (*MAIN[:-1], replace(SPIKE, workload=spike(100))),
        STEPS,
        has_swap=False,
        contenders=RECLAIMS,
    ),
    Scenario(
        "page_cache",
        "What is cold is page cache: read by one low-priority pod, mapped by the other",
        (
            PodPlan("kept", 90, file("/data/kept", "read", 150, hot_mib=150, period_ms=5000)),
            PodPlan("reads", 10, file("/data/reads", "read", 150, hot_mib=20)),
            PodPlan("maps", 10, file("/data/maps", "map", 150, hot_mib=20)),
            replace(SPIKE, workload=spike(500)),
        ),
        # A pod is asked for 5 % in 6 s at most: the cold part needs minutes.
        (replace(COLD, lasts_s=180), TAKE, HOLD),
        contenders=RECLAIMS,
    ),
    Scenario(
        "no_damon",
        "The kernel has no DAMON, there is swap, and all is as in main",
        MAIN,
        STEPS,
        has_damon=False,
        contenders=("none", "loop", "enforce_reclaim"),
    ),
    Scenario(
        "everything_hot",
        "All pods use all their memory: there is nothing to give up, is anything made worse?",
        (
            *(CRITICAL, BUSY, replace(BATCH, workload=heap(150, hot_mib=150, period_ms=3000))),
            *(STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "cron",
        "A low-priority pod uses all its memory every 45 s and nothing in between; no spike",
        (CRITICAL, PodPlan("cron", 10, cron(200, period_ms=45_000)), BATCH, STREAM),
        (COLD, Step("later", 140)),
        contenders=AGES,
    ),
    Scenario(
        "forks",
        "The low-priority pod is 30 workers that share a heap",
        (
            replace(IDLE, workload=forks(250, hot_mib=5, period_ms=1000, workers=30)),
            *(CRITICAL, BATCH, STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "sparse",
        "The low-priority pod's heap lies in pieces, as a JVM's: 250 MiB in 2 GiB",
        (
            replace(IDLE, workload=heap(250, hot_mib=5, period_ms=20, stride=8)),
            *(CRITICAL, BATCH, STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "huge_pages",
        "The low-priority and the middle pod have their memory in huge pages",
        (
            replace(IDLE, workload=heap(250, hot_mib=5, period_ms=20, is_huge=True)),
            replace(BATCH, workload=heap(150, hot_mib=30, period_ms=3000, is_huge=True)),
            *(CRITICAL, STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "shared",
        "A low-priority pod is cold, and the memory that it shares is what the critical one uses",
        (
            PodPlan("lends", 10, replace(SHARED, cold_file_mib=50)),
            PodPlan("critical", 90, file("/shm/shared", "map", 150, hot_mib=100), is_last=True),
            *(IDLE, BATCH, STREAM, SPIKE),
        ),
        STEPS,
    ),
    Scenario(
        "sixty_pods",
        "Sixty small pods of eight priorities, each with a hot part",
        (*CROWD, SPIKE),
        STEPS,
    ),
    Scenario(
        "priorities_reversed",
        "Who was important is not any more, and the other way round, while all go on",
        MAIN,
        (COLD, Step("reversed", 60, action="reverse_priorities"), TAKE, HOLD),
        contenders=("none", "enforce"),
    ),
    Scenario(
        "agent_killed",
        "The agent is killed at the moment in which memory is asked for, and back 20 s later",
        MAIN,
        (
            COLD,
            replace(TAKE, action="kill_agent"),
            HOLD,
            Step("after", 20, action="start_agent"),
        ),
        contenders=("none", "enforce"),
    ),
    Scenario(
        "cache_fills",
        "A pod that reads a large file quickly fills the node with page cache that nobody needs",
        (CRITICAL, IDLE, BATCH, replace(STREAM, workload=stream(1500, mib_per_s=60)), SPIKE),
        STEPS,
        contenders=RECLAIMS,
    ),
    Scenario(
        "tiny_free",
        "Nearly nothing is available from the beginning",
        (
            CRITICAL,
            replace(IDLE, workload=heap(340, hot_mib=5, period_ms=20)),
            replace(BATCH, workload=heap(200, hot_mib=30, period_ms=3000)),
            *(STREAM, replace(SPIKE, workload=spike(150))),
        ),
        STEPS,
    ),
    Scenario(
        "sandboxes",
        "Sandboxes load, compute, and stay as forked children, one every 12 s: how many can be?",
        (CRITICAL, *SANDBOXES),
        SANDBOX_STEPS,
        contenders=RECLAIMS,
    ),
    Scenario(
        "sandboxes_at_once",
        "The same, all at once",
        (CRITICAL, *SANDBOXES),
        (SANDBOX_STEPS[0], replace(SANDBOX_STEPS[1], lasts_s=90, stagger_s=0)),
    ),
    Scenario(
        "sandboxes_no_swap",
        "The same, one every 12 s, without swap",
        (CRITICAL, *SANDBOXES),
        SANDBOX_STEPS,
        has_swap=False,
        contenders=("none",),
    ),
)
SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
