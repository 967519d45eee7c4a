/* kit -- what our programs here share: the frames, which are all known beforehand, the server that gives
 * them, what a workload asks for, and a client as the environment wants it.
 *
 *     PROGRAM server PORT WORKLOAD [ARG]     prints "ready"; SIGTERM ends it
 *     PROGRAM client PORT WORKLOAD [ARG]     prints one JSON line; exit 1 when a byte was wrong
 *
 * From the environment, beside what bench/bench.h says:
 *   BENCH_RESUME=MS   the client's resume_ms; -1: no session
 *   BENCH_INLINE=1    sources that may ride in their announcement do (`eager`)
 *   BENCH_LOOPS=N     the server has so many
 *   BENCH_BUSY_POLL=US  both sides' busy_poll_us
 *   BENCH_TLS=DIR     TLS by DIR/cert.pem, which is its own authority, and DIR/key.pem */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include "bench/bench.h"

#include <chanserv/chanserv.h>

enum { KIT_LARGEST = 1 << 20 };

/* ---- Frames ------------------------------------------------------------------------------------ */

enum { KIT_PATTERNS = 8, KIT_STEP = 64, KIT_NOISE = KIT_LARGEST + KIT_PATTERNS * KIT_STEP };
extern uint8_t kit_noise[KIT_NOISE];
extern size_t kit_noise_len; /* of it, made so far */
void kit_make_noise(size_t until);

/* Frame `number` of any source: `size` bytes, at most KIT_LARGEST, that stay.  It is one of eight that
 * are different from their first byte to their last.  Not for two threads.
 * (Here, because the fastest workloads have some ten nanoseconds for a frame.) */
static inline cs_bytes kit_frame(uint64_t number, size_t size)
{
    size_t at = number % KIT_PATTERNS * KIT_STEP;
    if (at + size > kit_noise_len)
        kit_make_noise(KIT_PATTERNS * KIT_STEP + size);
    return cs_bytes_of(kit_noise + at, size);
}
static inline bool kit_is_frame(cs_bytes frame, uint64_t number, size_t size)
{
    return frame.len == size &&
           (size == 0 || memcmp(frame.base, kit_frame(number, size).base, size) == 0);
}
/* A copy, until the next call, with one bit wrong. */
cs_bytes kit_spoiled(cs_bytes frame);
bool kit_corrupts(void); /* BENCH_CORRUPT */
/* Of "hashes": once, before the others; and is it frame `number` of one? */
void kit_hash_init(void);
bool kit_is_hash(cs_bytes frame, uint64_t number);

/* ---- The server --------------------------------------------------------------------------------- */

/* Serves until SIGTERM; what main() returns.
 *   flows   "SOURCES FRAMES SIZE EAGER", 0 for without end: sources of so many frames
 *   idles   "SOURCES": they are open and say nothing
 *   ping    one eager source of one frame
 *   echo    one source that gives back what it is sent
 *   hashes  one source without end, whose frames are hashes: see kit_is_hash(); on any loop
 *   stamps  one source with a frame each millisecond that begins with the time, of now_ns() */
int kit_serve(const char *port, const char *workload);
cs_err kit_stamps(chanserv_post *post, cs_bytes body, void *user);
cs_err kit_hashes(chanserv_post *post, cs_bytes body, void *user);
cs_err kit_echo(chanserv_post *post, cs_bytes body, void *user);

/* ---- The client --------------------------------------------------------------------------------- */

enum kit_figure { KIT_MSGS, KIT_MB, KIT_STREAMS, KIT_SOURCES, KIT_POSTS, KIT_LATENCY };
struct kit_work {
    const char *name, *arg;
    const char *service;
    char request[96];
    uint64_t sources, frames; /* of a post, of a source; 0: without end */
    size_t size;              /* of a frame */
    uint64_t in_flight;       /* sources open at once */
    bool again;               /* post again when a post and all its sources are over */
    uint64_t want;            /* units, then it is over; 0: the meter says so */
    enum kit_figure figure;
};

/* What a workload asks for; ends the process when there is none of that name. */
void kit_work_init(struct kit_work *work, const char *name, const char *arg);
bool kit_counts_frames(const struct kit_work *work); /* its unit is a frame, else a source */
/* The line.  `peer`: whose; `l`: of units that are sources. */
void kit_emit(const char *peer, const struct kit_work *work, const meter *m, lat *l);

/* Joined to the server; `loop` NULL: with a thread of its own.  Never NULL: ends the process. */
chanserv_client *kit_client(cs_loop *loop, const char *port);
cs_loop *kit_loop(void);
_Noreturn void kit_wrong(const char *what);

/* main() of a program with this client. */
int kit_main(int argc, char **argv, void (*client)(const char *port, const struct kit_work *work));

#endif
