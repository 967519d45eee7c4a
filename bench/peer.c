/* peer -- chanserv in the same rounds as its peers: what a user of the public API gets, with
 * every default on.  How to call it: bench/kit.h.
 *
 * w1, w2  one source without end        w3  1,000 sources x 1,000 frames
 * w4      open, two frames, end         w5  posts of 100 sources x 10 frames
 * w6      idle open sources             w7  ping-pong: a post, and its answer inline
 * w3 stalled  w3 beside one more source that is open, full and never read
 * w7 talk     ping-pong over one source that listens
 * beside      a source of a frame each millisecond, beside one that saturates the connection: p99
 * loops       two sources that take 2 us for a frame, on two connections; BENCH_LOOPS
 *
 * and the three that the original measures itself with:
 * connect  posts of one source with one empty frame, one after the other
 * heavy    10 sources x 500 frames x 1 MiB        flood  1,000 sources x 5,000 frames x 64 B */
#include "bench/peer.h"

static void client(const char *port, const struct kit_work *work)
{
    if (!strcmp(work->name, "w6"))
        peer_idle(port, work);
    else if (!strcmp(work->name, "beside"))
        peer_beside(port, work);
    else if (!strcmp(work->name, "loops"))
        peer_loops(port, work);
    else if (!strcmp(work->name, "w7") && !strcmp(work->arg, "talk"))
        peer_talk(port, work);
    else
        peer_flows(port, work);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, client);
}
