/* Channels that a peer does not have and we make of tags, as its users would: the counting of w3 to w5,
 * of a client whose messages have a u32 before them. */
#ifndef BENCH_PEERS_TAGS_H
#define BENCH_PEERS_TAGS_H

#include "bench/peers/spot.h"

enum { TAGS = 1 << 16 };

/* A channel is over with its last message. */
struct tags {
    char kind; /* '3', '4', '5' */
    uint32_t count[TAGS], next;
    uint64_t start[TAGS], now, frames, done; /* now: of the last message that ended a channel */
    meter m;
    lat latency;
};

/* The tag of the next request. */
static inline uint32_t tags_next(struct tags *t)
{
    uint32_t tag = t->next;
    t->start[tag % TAGS] = t->now;
    t->next += t->kind == '5' ? W5_SOURCES : 1;
    return tag;
}
static inline int tags_begin(struct tags *t, char kind, const char *arg)
{ /* how many requests to begin with */
    t->kind = kind;
    t->now = now_ns();
    meter_init(&t->m);
    if (kind == '3')
        meter_start(&t->m);
    return kind == '4' ? atoi(arg) : 1;
}
/* A message came. */
enum tags_answer { TAGS_GO_ON, TAGS_ASK, TAGS_STOP };
static inline enum tags_answer tags_take(struct tags *t, uint32_t tag, const void *message,
                                         size_t len)
{
    uint32_t n = ++t->count[tag % TAGS];
    spot_look(message, len);
    t->frames++;
    if (t->kind == '3') {
        if (t->frames < (uint64_t)W3_STREAMS * W3_MSGS)
            return TAGS_GO_ON;
        meter_stop(&t->m, t->frames);
        return TAGS_STOP;
    }
    if (n < (t->kind == '4' ? 3 : 1 + W5_FRAMES))
        return TAGS_GO_ON;
    t->count[tag % TAGS] = 0;
    t->done++;
    if (t->kind == '4') {
        t->now = now_ns();
        lat_add(&t->latency, t->now - t->start[tag % TAGS]);
    } else if (t->done % W5_SOURCES != 0)
        return TAGS_GO_ON;
    if ((t->kind == '5' || (t->done & 15) == 0) && meter_tick(&t->m, t->done))
        return TAGS_STOP;
    return TAGS_ASK;
}
static inline void tags_emit(struct tags *t, const char *peer, const char *arg)
{
    char extra[160] = "", workload[] = {'w', t->kind, 0};
    if (t->kind == '4')
        lat_json(&t->latency, extra, sizeof extra);
    emit(peer, workload, arg, meter_rate(&t->m),
         t->kind == '3'   ? "msgs/s"
         : t->kind == '4' ? "streams/s"
                          : "sources/s",
         &t->m, extra);
}

/* w7: the line of a ping-pong. */
static inline void emit_ping(const char *peer, const meter *m, lat *latency)
{
    char extra[160];
    lat_json(latency, extra, sizeof extra);
    emit(peer, "w7", "", lat_us(latency, .5), "us", m, extra);
}

#endif
