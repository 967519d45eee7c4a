/* browser -- who asks a gateway without any connection: a transport of the test's own, with as much room
 * as it likes, beside a server with a few services, on a virtual loop. */
#ifndef TEST_GATEWAY_BROWSER_H
#define TEST_GATEWAY_BROWSER_H

#include "gateway/gateway__in.h"

enum { BROWSER_BODY = 1 << 20 };

struct browser {              /* one request, and what came of it */
    gateway_request *request; /* NULL: parted */
    int status;               /* 0: no answer has begun */
    char headers[2048];       /* "name: value\n" each */
    int64_t length;
    bool bare, finished;
    cs_err aborted;  /* or CS_OK */
    size_t room;     /* bytes it takes now; SIZE_MAX: any */
    bool wants_room; /* it was told CS_AGAIN */
    cs_err refuses;  /* what begin() or write() shall say, if not CS_OK */
    size_t len;
    char *body; /* of BROWSER_BODY, NUL behind */
};

struct world {
    cs_loop *loop;
    chanserv_server *server;
    gateway *gw;
    char said[4096]; /* by the services and the hook */
    cs_err verdict;  /* of the hook, about all it is asked; "secret" as authorization is let in */
};
extern struct world world;

/* The server has "gen" (its body: how many sources, how many frames each, and their size, "2 3 5"),
 * "none" (CS_DONE at once), "bad" (fails), "slow" (a source whose frames are made by world_tick()),
 * "hold" (announces on world_tick() alone). */
cs_err world_up(const struct gateway_options *options);
void world_down(void);
void world_tick(void); /* "slow" has one more frame; "hold" one more source */
void world_say(const char *format, ...) CS_PRINTF(1, 2);
size_t world_made(void); /* frames that were asked of the producers of "gen" */

/* Its transport, for requests that a test makes itself. */
const struct gateway__transport *browser_transport(void);

void browser_init(struct browser *b);
void browser_fini(struct browser *b); /* leaves, if it is still there */

/* "GET /path", then fields "name: value", and a body (NULL: none); from 10.0.0.1.  All of it in one go, and
 * the loop is settled.  CS_ENOMEM: it could not be made. */
cs_err browser_ask(struct browser *b, const char *what, const char *const *fields,
                   const char *body);
cs_err browser_ask_from(struct browser *b, const char *addr, const char *what,
                        const char *const *fields, const char *body);
void browser_room(struct browser *b, size_t room); /* more of it; and the loop is settled */
void browser_leave(struct browser *b);
const char *browser_header(const struct browser *b, const char *name); /* or "" */

#endif
