/* The programs of the pods: memory that is used in a known pattern.

   usage: workload DIRECTORY PATTERN ...
     keys MIB HOT_PERMILLE HOT_ACCESS_PERCENT awake|asleep
         a key-value store: operations in a closed loop, 64 and then 4 ms of pause; so many percent of them go to
         so many permille of the pages. DIRECTORY/latency gets a line of JSON four times a second.
     heap MIB HOT_MIB PERIOD_MS STRIDE small|huge told|untold
         a heap of which the first part is touched once in each period, page by page, and the rest never; a MiB of it in
         each STRIDE MiB; in small pages, or in huge ones where the kernel has some; if told, latency as keys
     forks MIB HOT_MIB PERIOD_MS WORKERS
         a heap that so many forked processes share, each of which reads the first part once in each period
     cron MIB PERIOD_MS
         a heap that is used all at once, page by page, after each period; latency as keys
     spike MIB
         takes memory when it gets SIGUSR1 and uses all of it; DIRECTORY/satisfied tells from when to when
     sandbox MIB COMPUTE_MS
         when it gets SIGUSR1: takes memory, uses it for so long, tells as spike does, and leaves all to a forked child
     file FILE MIB HOT_MIB PERIOD_MS read|map
         reads all of a file of zeros, and then the first part of it once in each period, page by page; latency as keys
     stream FILE MIB MIB_PER_S
         reads a file of zeros over and over

   DIRECTORY/ready appears when all memory has been used once. SIGUSR1 wakes who is asleep, and the other way round.
   Times are seconds of CLOCK_MONOTONIC. Pages are half noise, so that zram has something to compress, and small. */
#include "pod.h"
#include <sys/sendfile.h>

static void keys(size_t mib, size_t hot_permille, unsigned hot_percent) {
  size_t pages = mib * MIB / PAGE, hot = pages * hot_permille / 1000, stride = 1000 / hot_permille;
  char *start = memory(pages * PAGE);
  fill(start, pages * PAGE);
  FILE *latency = file("latency", "w");
  ready();
  volatile uint64_t sink = 0;
  uint64_t begin = now_ns();
  for (;;) {
    uint64_t asked = now_ns();
    for (int i = 0; awake && i < 64; i++) {
      uint64_t chance = next_random();
      size_t page = (chance & 0xffffffff) % pages;
      if ((chance >> 40) % 100 < hot_percent) {
        size_t key = (chance & 0xffffffff) % hot;
        page = ((key / RUN_PAGES) * stride * RUN_PAGES + key % RUN_PAGES) % pages;
      }
      char *value = start + page * PAGE + ((chance >> 33) & 31) * 64;
      if (chance >> 60 < 3)
        memset(value, (int)chance, 64);
      else
        for (int j = 0; j < 64; j += 8) sink += *(uint64_t *)(value + j);
      asked = answered(asked);
    }
    begin = report_if_due(latency, begin);
    pause_ns(4000000);
  }
}

static volatile char sink;

static void use_page(int from, const char *start, size_t page) {
  static char buffer[PAGE];
  if (start)
    sink = start[page * PAGE];
  else if (pread(from, buffer, PAGE, (off_t)(page * PAGE)) != (ssize_t)PAGE)
    fail("pread");
}

/* Where a page of a heap is that lies in pieces of a MiB, one at the beginning of each `stride` MiB. */
static char *piece(char *start, size_t page, size_t stride) {
  return start + ((page / RUN_PAGES) * stride * RUN_PAGES + page % RUN_PAGES) * PAGE;
}

static void heap(size_t mib, size_t hot_mib, uint64_t period_ms, size_t stride, int is_huge, int is_told) {
  const uint64_t step_ms = period_ms < 20 ? period_ms : 20;
  size_t hot = hot_mib * MIB / PAGE, share = hot * step_ms / period_ms + 1;
  char *start = memory_in(mib * stride * MIB, is_huge);
  for (size_t page = 0; page < mib * MIB / PAGE; page++) fill(piece(start, page, stride), PAGE);
  FILE *latency = is_told ? file("latency", "w") : NULL;
  ready();
  uint64_t begin = now_ns();
  for (size_t page = 0;;) {
    uint64_t asked = now_ns();
    for (size_t i = 0; hot && i < share; i++, page = (page + 1) % hot) {
      (*piece(start, page, stride))++;
      if (!is_told) continue;
      asked = answered(asked);
    }
    if (is_told) begin = report_if_due(latency, begin);
    pause_ns(step_ms * 1000000);
  }
}

static void forks(size_t mib, size_t hot_mib, uint64_t period_ms, size_t workers) {
  const uint64_t step_ms = period_ms < 20 ? period_ms : 20;
  size_t hot = hot_mib * MIB / PAGE, share = hot * step_ms / period_ms + 1;
  char *start = memory(mib * MIB);
  fill(start, mib * MIB);
  while (workers--)
    if (!child())
      for (size_t page = 0;;) {
        for (size_t i = 0; i < share; i++, page = (page + 1) % hot) use_page(-1, start, page);
        pause_ns(step_ms * 1000000);
      }
  ready();
  for (;;) pause();
}

static void cron(size_t mib, uint64_t period_ms) {
  size_t pages = mib * MIB / PAGE;
  char *start = memory(pages * PAGE);
  fill(start, pages * PAGE);
  FILE *latency = file("latency", "w");
  ready();
  for (;;) {
    pause_ns(period_ms * 1000000);
    uint64_t begin = now_ns(), asked = begin;
    for (size_t page = 0; page < pages; page++) {
      start[page * PAGE]++;
      asked = answered(asked);
    }
    report(latency, begin, asked);
  }
}

static void satisfied(uint64_t begin_ns) {
  FILE *told = file("satisfied.new", "w");
  fprintf(told, "{\"begin_s\":%.3f,\"end_s\":%.3f}\n", begin_ns / 1e9, now_ns() / 1e9);
  fclose(told);
  char from[4096], to[4096];
  snprintf(from, sizeof from, "%s/satisfied.new", directory);
  snprintf(to, sizeof to, "%s/satisfied", directory);
  if (rename(from, to)) fail(to);
}

static uint64_t until_woken(void) {
  ready();
  while (!awake) pause_ns(10000000);
  return now_ns();
}

static void sandbox(size_t mib, uint64_t compute_ms) {
  uint64_t begin = until_woken();
  size_t pages = mib * MIB / PAGE;
  char *start = memory(pages * PAGE);
  fill(start, pages * PAGE);
  uint64_t end = now_ns() + compute_ms * 1000000;
  for (size_t page = 0; now_ns() < end; page = (page + 1) % pages) start[page * PAGE]++;
  satisfied(begin);
  if (child()) munmap(start, pages * PAGE);
  for (;;) pause();
}

static void spike(size_t mib) {
  uint64_t begin = until_woken();
  char *start = memory(mib * MIB);
  fill(start, mib * MIB);
  satisfied(begin);
  for (size_t part = 0;; part = (part + 1) % 16) {
    for (size_t page = part; page < mib * MIB / PAGE; page += 16) start[page * PAGE]++;
    pause_ns(100000000);
  }
}

static int zeros(const char *path, size_t mib) {
  int made = open(path, O_RDWR | O_CREAT, 0600);
  if (made < 0 || ftruncate(made, (off_t)(mib * MIB))) fail(path);
  return made;
}

static void file_pages(const char *path, size_t mib, size_t hot_mib, uint64_t period_ms, int is_mapped) {
  const uint64_t step_ms = period_ms < 20 ? period_ms : 20;
  size_t hot = hot_mib * MIB / PAGE, share = hot * step_ms / period_ms + 1;
  int from = zeros(path, mib);
  char *start = NULL;
  if (is_mapped && (start = mmap(NULL, mib * MIB, PROT_READ, MAP_SHARED, from, 0)) == MAP_FAILED) fail("mmap");
  for (size_t page = 0; page < mib * MIB / PAGE; page++) use_page(from, start, page);
  FILE *latency = file("latency", "w");
  ready();
  uint64_t begin = now_ns();
  for (size_t page = 0;;) {
    uint64_t asked = now_ns();
    for (size_t i = 0; hot && i < share; i++, page = (page + 1) % hot) {
      use_page(from, start, page);
      asked = answered(asked);
    }
    begin = report_if_due(latency, begin);
    pause_ns(step_ms * 1000000);
  }
}

/* No copy is made: a page costs what it costs to have it in memory. */
static void stream(const char *path, size_t mib, size_t mib_per_s) {
  int from = zeros(path, mib), to = open("/dev/null", O_WRONLY);
  if (to < 0) fail("/dev/null");
  ready();
  for (size_t done = 0;; done = (done + 1) % mib) {
    off_t next = (off_t)(done * MIB), end = next + (off_t)MIB;
    while (next < end)
      if (sendfile(to, from, &next, (size_t)(end - next)) <= 0) fail(path);
    pause_ns(1000000000UL / mib_per_s);
  }
}

int main(int count, char **words) {
  if (count < 4) return 2;
  directory = words[1];
  const char *pattern = words[2], *last = words[count - 1];
  int is_of_file = !strcmp(pattern, "file") || !strcmp(pattern, "stream");
  size_t numbers[4] = {0};
  for (int i = 3 + is_of_file; i < count && i < 7 + is_of_file; i++)
    numbers[i - 3 - is_of_file] = strtoul(words[i], NULL, 10);
  state ^= (uint64_t)getpid() * 7919 ^ now_ns();
  signal(SIGUSR1, on_signal);
  if (!strcmp(pattern, "keys") && count == 7) {
    awake = !strcmp(last, "awake");
    keys(numbers[0], numbers[1], (unsigned)numbers[2]);
  } else if (!strcmp(pattern, "heap") && count == 9) {
    heap(numbers[0], numbers[1], numbers[2], numbers[3], !strcmp(words[7], "huge"), !strcmp(last, "told"));
  } else if (!strcmp(pattern, "forks") && count == 7) {
    forks(numbers[0], numbers[1], numbers[2], numbers[3]);
  } else if (!strcmp(pattern, "cron") && count == 5) {
    cron(numbers[0], numbers[1]);
  } else if (!strcmp(pattern, "spike") && count == 4) {
    spike(numbers[0]);
  } else if (!strcmp(pattern, "sandbox") && count == 5) {
    sandbox(numbers[0], numbers[1]);
  } else if (!strcmp(pattern, "file") && count == 8) {
    file_pages(words[3], numbers[0], numbers[1], numbers[2], !strcmp(last, "map"));
  } else if (!strcmp(pattern, "stream") && count == 6) {
    stream(words[3], numbers[0], numbers[1]);
  }
  return 2;
}
