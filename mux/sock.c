#include "mux/sock__in.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>

int mux__sock_new(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void mux__sock_nodelay(int fd)
{
    int on = 1;

    /* What is queued goes in one writev a turn, so Nagle's waiting could only cost us. A unix
     * socket says no, and needs none. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void mux__sock_words(int error, char *to, size_t len)
{
    /* "Connection timed out" would sound as if a connection had been there. */
    snprintf(to, len, "%s", error == ETIMEDOUT ? "timed out" : strerror(error));

    /* "Connection refused" continues a line of ours; "RPC ..." is a name and stays. */
    if (len > 1 && to[0] >= 'A' && to[0] <= 'Z' && to[1] >= 'a' && to[1] <= 'z')
        to[0] = (char)(to[0] - 'A' + 'a');
}
