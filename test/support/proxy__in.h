/* What the files of the proxy share: its descriptors, and its dice. */
#ifndef TEST_SUPPORT_PROXY__IN_H
#define TEST_SUPPORT_PROXY__IN_H

#include "test/support/proxy.h"

#include "base/list.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* A socket that is waited for. */
struct proxy__end {
    struct cs_link link;
    int fd;
    short wants;   /* POLLIN, POLLOUT */
    int64_t at_ms; /* be called then, whatever comes; 0: no */
    bool gone;     /* closed: forgotten when the round is over */
    void (*ready)(struct proxy__end *end, short events);
    void (*forget)(struct proxy__end *end);
};

/* What will happen to a connection, and when. */
struct proxy__fate {
    int64_t bytes; /* that pass until then; < 0: nothing will */
    enum proxy_act act;
    bool down; /* it is bytes towards the client that count */
};

struct proxy {
    struct proxy_options options;
    char addr[32];
    pthread_t thread;
    struct proxy__end listener, waker;
    struct cs_list ends;
    int bell; /* written to: the thread has a look */
    atomic_bool stops, swallows;
    atomic_int connections, cuts, resets, ends_, halves, swallowed, stalls, upstream;
    int acts;      /* so far */
    uint64_t dice; /* of the connection that is dealt with */
    uint64_t fates;
    struct proxy__wire *up; /* where new streams go (HTTP/2) */
};

int64_t proxy__now_ms(void);
void proxy__add(struct proxy *p, struct proxy__end *end, int fd);
void proxy__drop(struct proxy__end *end, bool reset);
int proxy__connect(struct proxy *p); /* -1: nobody is there */

struct proxy__fate proxy__fate(struct proxy *p);

/* It happens now, unless all that may happen has; then it is for ever without fate. */
bool proxy__may(struct proxy *p, enum proxy_act act);

void proxy__bytes_begin(struct proxy *p, int fd);
void proxy__http2_begin(struct proxy *p, int fd);

#endif
