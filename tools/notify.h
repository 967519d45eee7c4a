/* notify -- what a service manager (systemd) gives us and wants to hear: sockets that it listens
 * at, sd_notify(3)'s messages, its watchdog.  Its protocols are a few environment variables and
 * datagrams, so no library is needed.
 */
#ifndef TOOLS_NOTIFY_H
#define TOOLS_NOTIFY_H

#include "base/loop.h"

enum { NOTIFY_FIRST_FD = 3 };

struct notify {     /* {0}: nobody wants to hear anything */
    char path[108]; /* NOTIFY_SOCKET; a name without file begins with '@' */
    int fds;        /* sockets for us, from NOTIFY_FIRST_FD on */
    int every_ms;   /* of the watchdog; 0: none */
    cs_timer *watchdog;
};

/* Reads the environment, and takes what it used out, so that no child believes it is meant. */
void notify_init(struct notify *notify);
void notify_fini(struct notify *notify);

/* From now on the watchdog is fed by the loop: a loop that is stuck feeds it no more. */
cs_err notify_watch(struct notify *notify, cs_loop *loop);

/* "READY=1" and the like, lines; lost when nobody listens. */
void notify_say(const struct notify *notify, const char *format, ...) CS_PRINTF(2, 3);

#endif
