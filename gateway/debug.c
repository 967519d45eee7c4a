/* debug -- chanserv.v1.Debug: what runs on the server, to whoever may ask. */
#include "gateway/admin__in.h"
#include "proto/debug.h"

enum { ENTRIES = 1000, ENTRIES_MAX = 10000 }; /* these are about a megabyte */

struct reply {
    struct cs_buf buf;
    cs_err err;
};

static void add_entry(const struct chanserv_stat *s, void *user)
{
    struct reply *reply = user;
    const struct wire_stat stat = {.numbers = {[WIRE_STAT_KIND] = s->kind,
                                               [WIRE_STAT_LOOP] = s->loop,
                                               [WIRE_STAT_NUMBER] = s->number,
                                               [WIRE_STAT_OF] = s->of,
                                               [WIRE_STAT_AGE_MS] = (uint64_t)s->age_ms,
                                               [WIRE_STAT_STILL_MS] = (uint64_t)s->still_ms,
                                               [WIRE_STAT_BYTES_IN] = s->bytes_in,
                                               [WIRE_STAT_BYTES_OUT] = s->bytes_out,
                                               [WIRE_STAT_MESSAGES] = s->messages,
                                               [WIRE_STAT_QUEUED] = s->queued,
                                               [WIRE_STAT_KEPT] = s->kept,
                                               [WIRE_STAT_CREDIT] = (uint64_t)s->credit,
                                               [WIRE_STAT_PARTS] = s->parts},
                                   .service = s->service,
                                   .peer = s->peer,
                                   .waits = cs_str(chanserv_waits_word(s->waits))};

    if (reply->err == CS_OK)
        reply->err = wire_stat_add(&reply->buf, &stat);
}

static void add_counters(struct reply *reply, chanserv_server *server)
{
    struct chanserv_counters now;

    chanserv_server_counters(server, &now);
#define X(name, help)                                                                              \
    if (reply->err == CS_OK)                                                                       \
        reply->err = wire_stat_add_counter(&reply->buf, #name, now.name);
    CHANSERV_COUNTERS(X)
#undef X
}

void gateway__debug_stat(mux_request *request, cs_bytes message, void *user)
{
    const gateway_admin *admin = user;
    struct reply reply = {.err = CS_OK};
    uint32_t max;
    uint64_t left = 0;

    if (admin->freed) {
        mux_request_answer(request, CS_EUNAVAIL, cs_str(""), NULL);
        return;
    }
    if (wire_stat_parse(message, &max) != CS_OK) {
        mux_request_answer(request, CS_EINVAL, cs_str(""), "no StatRequest");
        return;
    }
    max = max == 0 ? ENTRIES : max < ENTRIES_MAX ? max : ENTRIES_MAX;
    chanserv_server_stat(admin->server, max, add_entry, &reply, &left);
    if (reply.err == CS_OK)
        reply.err = wire_stat_add_left(&reply.buf, left);
    add_counters(&reply, admin->server);
    mux_request_answer(request, reply.err, cs_bytes_of(reply.buf.base, reply.buf.len), NULL);
    cs_buf_fini(&reply.buf);
}
