/* bench -- the machine of `chanserv bench`: posts to "gen" again and again, and checks each byte.
 *
 * On the loop of its client, without a word on standard output; bench.c says what came of it.
 *
 *     begin ──▶ `parallel` posts run ──▶ one is over: the next ──▶ over(), when none runs any more
 *
 * Every source that is announced is opened at once.  What was lost, doubled, moved or changed is
 * counted as wrong, and told.
 */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include "tools/latency.h"
#include "tools/tool.h"

struct bench {
    /* What is asked: zero is none of it, but `posts` 0 is until bench_stop(). */
    const char *service;
    uint64_t sources, frames, size; /* of a post, of a source, in bytes */
    uint64_t posts, parallel;
    struct chanserv_post_options with;
    void (*tell)(const char *line, void *user); /* something is wrong, the first few times */
    void (*over)(void *user);                   /* once, last */
    void *user;

    /* What came. */
    uint64_t posts_done, sources_done, frames_done, bytes_done; /* those that were right */
    uint64_t wrong;
    struct latency source_us; /* from open to end */
    struct latency first_us;  /* from post to the first frame */
    cs_err why;               /* CS_OK; CS_EDATALOSS: something was wrong; else the first failure */

    /* Its own. */
    chanserv_client *client;
    char body[128];
    uint64_t begun, running;
    bool stopped;
};

/* Answers what kept the first post from being made; then over() does not come. */
cs_err bench_begin(struct bench *bench, chanserv_client *client);

/* No further post: those that run go on to their end. */
void bench_stop(struct bench *bench);

/* Nothing goes on; over() comes soon, and `why` says CS_ECANCELED. */
void bench_cancel(struct bench *bench);

#endif
