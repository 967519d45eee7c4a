/* victim -- `chanserv serve` as a process of its own, and what can be seen of it from outside:
 * memory and descriptors in /proc, its counters by SIGUSR1, its words on standard error. */
#ifndef TEST_ATTACK_VICTIM_H
#define TEST_ATTACK_VICTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct victim {
    pid_t pid;
    int port;
    int said;    /* what it wrote to standard error */
    int64_t own; /* connections that it has with itself */
    char counters[16 * 1024];
};

/* Starts it; `options` are words, one blank between them.  With RLIMIT_DATA, if that is above 0.  False: it
 * says why on standard error. */
bool victim_start(struct victim *victim, const char *tool, const char *options, int data_mib);

struct look {
    int64_t rss, peak; /* bytes, now and since the last victim_forget_peak() */
    int fds;
    int64_t cpu_ms;
};
struct look victim_look(const struct victim *victim);
void victim_forget_peak(const struct victim *victim);

/* Asks for the counters, which victim_counter() then has; false: no answer within five seconds. */
bool victim_count(struct victim *victim);
int64_t victim_counter(const struct victim *victim, const char *name); /* -1: there is none */

bool victim_is_alive(const struct victim *victim);
/* SIGTERM, and SIGKILL when that is not heard for `ms`.  True: it ended by itself, with 0. */
bool victim_stop(struct victim *victim, int ms);
/* What it said that is no counter, its last `size` bytes; answers how many bytes there were in all. */
size_t victim_words(const struct victim *victim, char *to, size_t size);

#endif
