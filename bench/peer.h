/* peer: its clients, which are callbacks on one loop. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/kit.h"

/* Each measures one workload and prints its line. */
void peer_flows(const char *port, const struct kit_work *work); /* all but those below */
void peer_idle(const char *port,
               const struct kit_work *work); /* w6: open sources that say nothing */
void peer_talk(const char *port, const struct kit_work *work); /* w7 talk: there and back */
void peer_beside(const char *port,
                 const struct kit_work *work); /* a small source beside a large one */
void peer_loops(const char *port, const struct kit_work *work); /* a server of several loops */

/* Turns the loop for so long. */
void peer_wait_ms(cs_loop *loop, int ms);

#endif
