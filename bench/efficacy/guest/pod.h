/* What the programs of the pods share: memory, time, and the lengths of operations as efficacy/latency.py reads them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define MIB (1UL << 20)
#define RUN_PAGES 256UL      /* hot keys lie together in runs of a MiB */
#define BUCKETS_PER_OCTAVE 16 /* as efficacy/latency.py reads them */
#define NR_BUCKETS 1024
#define WINDOW_NS 250000000UL

static const char *directory;
static volatile sig_atomic_t awake;
static uint64_t state = 88172645463325252UL;

static inline void on_signal(int number) {
  (void)number;
  awake = !awake;
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static inline uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000UL + (uint64_t)time.tv_nsec;
}

static inline void pause_ns(uint64_t ns) {
  struct timespec time = {(time_t)(ns / 1000000000UL), (long)(ns % 1000000000UL)};
  nanosleep(&time, NULL);
}

static inline FILE *file(const char *name, const char *mode) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *opened = fopen(path, mode);
  if (!opened) fail(path);
  return opened;
}

static inline void ready(void) { fclose(file("ready", "w")); }

static inline char *memory_in(size_t bytes, int is_huge) {
  char *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) fail("mmap");
  madvise(made, bytes, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return made;
}

static inline char *memory(size_t bytes) { return memory_in(bytes, 0); }

static inline void fill(char *start, size_t bytes) {
  for (char *page = start; page < start + bytes; page += PAGE) {
    uint64_t *words = (uint64_t *)page;
    for (int i = 0; i < 256; i += 2) {
      words[i] = next_random();
      words[i + 1] = words[i] >> 20;
    }
  }
}

/* A bucket of a length of time: exact below 16 ns, then 16 for each doubling. */
static inline int bucket(uint64_t ns) {
  if (ns < BUCKETS_PER_OCTAVE) return (int)ns;
  int exponent = 63 - __builtin_clzl(ns);
  return (exponent - 3) * BUCKETS_PER_OCTAVE + (int)((ns >> (exponent - 4)) & 15);
}

static uint64_t buckets[NR_BUCKETS];

/* Count an operation that is over; return when that was. */
static inline uint64_t answered(uint64_t asked_ns) {
  uint64_t now = now_ns();
  buckets[bucket(now - asked_ns)]++;
  return now;
}

static inline void report(FILE *latency, uint64_t begin_ns, uint64_t end_ns) {
  const char *comma = "";
  fprintf(latency, "{\"begin_s\":%.3f,\"end_s\":%.3f,\"buckets\":{", begin_ns / 1e9, end_ns / 1e9);
  for (int i = 0; i < NR_BUCKETS; i++)
    if (buckets[i]) {
      fprintf(latency, "%s\"%d\":%lu", comma, i, buckets[i]);
      comma = ",";
    }
  fprintf(latency, "}}\n");
  fflush(latency);
  memset(buckets, 0, sizeof buckets);
}

/* Report a window that is over; return when the present one began. */
static inline uint64_t report_if_due(FILE *latency, uint64_t begin_ns) {
  uint64_t now = now_ns();
  if (now - begin_ns < WINDOW_NS) return begin_ns;
  report(latency, begin_ns, now);
  return now;
}

/* Fork; whoever is forked ends with its parent. */
static inline pid_t child(void) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) fail("fork");
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* It may have ended before that. */
  if (getppid() != parent) _exit(1);
  return 0;
}
