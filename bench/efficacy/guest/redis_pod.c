/* redis-server and its only client, in one container.

   usage: redis_pod DIRECTORY MIB HOT_PERMILLE HOT_ACCESS_PERCENT
     Starts redis/redis beside this program (efficacy/redis.sh) without persistence, fills it with MIB of values of 1,000 bytes, and then asks for them in a closed
     loop, 16 times and then 4 ms of pause; so many percent of the questions are for so many permille of the keys, which
     were stored anywhere between the others. One of 16 stores a value anew.
     DIRECTORY/latency gets a line of JSON four times a second, as those of workload.c. */
#include "pod.h"
#include <sys/socket.h>
#include <sys/un.h>

#define VALUE_BYTES 1000UL

/* Both ends of the one connection: a stream for reading and writing would have to be positioned in between. */
static FILE *to, *from;

static void connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail(path);
  strcpy(address.sun_path, path);
  for (int attempt = 0; attempt < 600; attempt++) {
    int connection = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connection < 0) fail("socket");
    if (!connect(connection, (struct sockaddr *)&address, sizeof address)) {
      to = fdopen(connection, "w");
      from = fdopen(dup(connection), "r");
      if (!to || !from) fail("fdopen");
      return;
    }
    close(connection);
    pause_ns(100000000);
  }
  fail(path);
}

static void start(const char *program, const char *path) {
  if (child()) return;
  execl(program, program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", "/tmp",
        (char *)NULL);
  fail(program);
}

/* The keys that are asked for most are spread over all of them, as they are in a store that has grown. */
static uint64_t chosen(uint64_t chance, uint64_t keys, uint64_t hot_permille, unsigned hot_percent) {
  if ((chance >> 40) % 100 >= hot_percent) return (chance & 0xffffffff) % keys;
  return (chance & 0xffffffff) % (keys * hot_permille / 1000) * (1000 / hot_permille);
}

static void ask_to_store(uint64_t key) {
  static uint64_t value[VALUE_BYTES / 8];
  for (size_t i = 0; i < VALUE_BYTES / 8; i += 2) value[i] = next_random();
  fprintf(to, "*3\r\n$3\r\nSET\r\n$8\r\n%08lu\r\n$%lu\r\n", (unsigned long)key, VALUE_BYTES);
  fwrite(value, VALUE_BYTES, 1, to);
  fputs("\r\n", to);
}

/* Read one answer: +OK, or a value. */
static void take_answer(void) {
  static char line[64], value[VALUE_BYTES + 2];
  if (!fgets(line, sizeof line, from)) fail("redis has gone");
  if (line[0] == '+') return;
  if (line[0] != '$' || strtoul(line + 1, NULL, 10) != VALUE_BYTES || fread(value, sizeof value, 1, from) != 1) {
    fprintf(stderr, "redis said %s", line);
    exit(1);
  }
}

int main(int count, char **words) {
  if (count != 5) return 2;
  directory = words[1];
  uint64_t keys = strtoul(words[2], NULL, 10) * MIB / VALUE_BYTES, hot_permille = strtoul(words[3], NULL, 10);
  unsigned hot_percent = (unsigned)strtoul(words[4], NULL, 10);
  char program[4096 + sizeof "/redis/redis"], path[4096];
  ssize_t length = readlink("/proc/self/exe", program, 4096);
  if (length < 0) fail("/proc/self/exe");
  program[length] = 0;
  strcpy(strrchr(program, '/'), "/redis/redis");
  snprintf(path, sizeof path, "%s/redis.sock", directory);
  state ^= (uint64_t)getpid() * 7919 ^ now_ns();
  start(program, path);
  connect_to(path);
  for (uint64_t key = 0; key < keys; key += 32) {
    uint64_t last = key + 32 < keys ? key + 32 : keys;
    for (uint64_t each = key; each < last; each++) ask_to_store(each);
    fflush(to);
    for (uint64_t each = key; each < last; each++) take_answer();
  }
  FILE *latency = file("latency", "w");
  ready();
  uint64_t begin = now_ns();
  for (;;) {
    for (int i = 0; i < 16; i++) {
      uint64_t chance = next_random(), key = chosen(chance, keys, hot_permille, hot_percent), asked = now_ns();
      if (chance >> 60)
        fprintf(to, "*2\r\n$3\r\nGET\r\n$8\r\n%08lu\r\n", (unsigned long)key);
      else
        ask_to_store(key);
      fflush(to);
      take_answer();
      buckets[bucket(now_ns() - asked)]++;
    }
    begin = report_if_due(latency, begin);
    pause_ns(4000000);
  }
}
