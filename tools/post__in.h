/* post__in -- what the files of `chanserv post` share: post.c is the command, post_options.c what it
 * is told. */
#ifndef TOOLS_POST__IN_H
#define TOOLS_POST__IN_H

#include "tools/connect.h"
#include "tools/follow.h"
#include "tools/interrupt.h"
#include "tools/print.h"

#include <semaphore.h>

struct post {
    struct connect connect;
    const char *service, *only;
    cs_bytes body;
    void *body_owned;
    uint64_t count;       /* frames; 0: all */
    uint64_t sources_max; /* open at a time; 0: any number */
    struct print print;

    bool follows;
    struct follow follow;
    bool broke;   /* what is now is to be followed by another post */
    int again_ms; /* how long until then; 0: it goes well */
    sem_t awake;  /* posted when we are interrupted */

    chanserv_client *client;
    pthread_mutex_t lock; /* of the next, for the interrupt */
    chanserv_feed *feed;
    chanserv_set *set;
    struct interrupt interrupt;
    uint64_t frames, sources; /* taken; open now */
    bool waits;               /* the feed is not asked: so many are open */
    bool told;                /* that it waits */
    cs_err feed_why;          /* CS_AGAIN: not over yet */
    cs_err source_why;        /* the first source that failed; CS_OK: none did */
};

extern const char post_help[];
extern const struct option post_options[];

/* CONNECT_GO, or an exit code.  The body is to be freed whatever it answers. */
int post_parse(struct post *p, int argc, char **argv);

#endif
