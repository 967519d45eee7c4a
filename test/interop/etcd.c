/* etcd -- our gRPC client against a real etcd:
 *
 *   etcd HOST:PORT
 *
 * It may still be starting: the first call waits for it.  etcd's messages are written and read by
 * hand; their field numbers are in its rpc.proto and kv.proto. */
#include "test/interop/kit.h"

#include <inttypes.h>

static mux_conn *conn;

#define KV "/etcdserverpb.KV/"
#define LEASE "/etcdserverpb.Lease/"
static const struct mux_call_options patient = {.wait_for_ready = true, .timeout_ms = 25000};

/* ---- Protocol buffers ------------------------------------------------------------------------ */

struct pb {
    uint8_t bytes[256];
    size_t len;
};

static void pb_varint(struct pb *pb, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        pb->bytes[pb->len++] = (uint8_t)(v | 128);
    pb->bytes[pb->len++] = (uint8_t)v;
}

static void pb_number(struct pb *pb, unsigned field, int64_t v)
{
    pb_varint(pb, field << 3);
    pb_varint(pb, (uint64_t)v);
}

static void pb_bytes(struct pb *pb, unsigned field, cs_bytes v)
{
    pb_varint(pb, field << 3 | 2);
    pb_varint(pb, v.len);
    if (v.len > 0)
        memcpy(pb->bytes + pb->len, v.base, v.len);
    pb->len += v.len;
}

static void pb_text(struct pb *pb, unsigned field, const char *v)
{
    pb_bytes(pb, field, cs_str(v));
}

static cs_bytes pb_all(const struct pb *pb)
{
    return cs_bytes_of(pb->bytes, pb->len);
}

static void pb_message(struct pb *pb, unsigned field, const struct pb *v)
{
    pb_bytes(pb, field, pb_all(v));
}

static uint64_t take_varint(cs_bytes *b)
{
    uint64_t v = 0;
    for (unsigned shift = 0; b->len > 0; shift += 7) {
        uint8_t byte = *(const uint8_t *)b->base;
        *b = cs_bytes_of((const uint8_t *)b->base + 1, b->len - 1);
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    return v;
}

/* The nth (from 0) value of a field: a number in *number, or bytes.  False: there is none. */
static bool pb_find(cs_bytes in, unsigned field, unsigned nth, uint64_t *number, cs_bytes *bytes)
{
    while (in.len > 0) {
        uint64_t key = take_varint(&in), v = take_varint(&in);
        cs_bytes part = cs_bytes_of(in.base, (key & 7) == 2 && v <= in.len ? (size_t)v : 0);
        in = cs_bytes_of((const uint8_t *)in.base + part.len, in.len - part.len);
        if (key >> 3 != field || nth-- > 0)
            continue;
        if (number)
            *number = v;
        if (bytes)
            *bytes = part;
        return true;
    }
    return false;
}

static int64_t number_of(cs_bytes in, unsigned field)
{
    uint64_t v = 0;
    (void)pb_find(in, field, 0, &v, NULL);
    return (int64_t)v;
}

static cs_bytes bytes_of(cs_bytes in, unsigned field)
{
    cs_bytes v = {"", 0};
    (void)pb_find(in, field, 0, NULL, &v);
    return v;
}

static bool is(cs_bytes b, const char *text)
{
    return cs_same(b, cs_str(text));
}

/* ---- KV --------------------------------------------------------------------------------------- */

static cs_bytes reply_of(const struct answer *a)
{
    return cs_bytes_of(a->text, a->len);
}

static void put(const char *key, const char *value, int64_t lease, struct answer *a)
{
    struct pb request = {.len = 0};
    pb_text(&request, 1, key);
    pb_text(&request, 2, value);
    if (lease)
        pb_number(&request, 3, lease);
    kit_ask(conn, KV "Put", pb_all(&request), &patient, a);
}

/* The number of keys from `key` on with its prefix; the first one's value. */
static int64_t range(const char *key, struct answer *a, cs_bytes *value)
{
    struct pb request = {.len = 0};
    char end[32];
    snprintf(end, sizeof end, "%s", key);
    end[strlen(end) - 1]++;
    pb_text(&request, 1, key);
    pb_text(&request, 2, end);
    kit_ask(conn, KV "Range", pb_all(&request), &patient, a);
    *value = bytes_of(bytes_of(reply_of(a), 2), 5);
    return a->err == CS_OK ? number_of(reply_of(a), 4) : -1;
}

static void waits_for_it(void)
{
    struct answer a;
    put("first", "1", 0, &a);
    WANT(a.err == CS_OK, "%s", a.errmsg);
    WANT(number_of(bytes_of(reply_of(&a), 1), 3) > 0, "no revision in %zu bytes", a.len);
    WANT(mux_conn_errmsg(conn)[0] == 0, "%s", mux_conn_errmsg(conn));
}

static void put_and_range(void)
{
    struct answer a;
    cs_bytes value;
    for (int i = 0; i < 20; i++) {
        char key[32], text[32];
        snprintf(key, sizeof key, "range/%02d", i);
        snprintf(text, sizeof text, "value %d", i);
        put(key, text, 0, &a);
        WANT(a.err == CS_OK, "%s", a.errmsg);
    }
    WANT(range("range/", &a, &value) == 20, "%s", a.errmsg);
    WANT(is(value, "value 0"), "%.*s", CS_FMT(value));
    WANT(range("range/1", &a, &value) == 10, "%s", a.errmsg);
    WANT(range("nothing", &a, &value) == 0, "%s", a.errmsg);
}

/* If `key` has `old`, it gets `new`; *swapped tells. */
static void swap(const char *key, const char *old, const char *new, struct answer *a)
{
    struct pb compare = {.len = 0}, request_put = {.len = 0}, op = {.len = 0}, txn = {.len = 0};
    pb_number(&compare, 2, 3); /* VALUE, and EQUAL by default */
    pb_text(&compare, 3, key);
    pb_text(&compare, 7, old);
    pb_text(&request_put, 1, key);
    pb_text(&request_put, 2, new);
    pb_message(&op, 2, &request_put);
    pb_message(&txn, 1, &compare);
    pb_message(&txn, 2, &op);
    kit_ask(conn, KV "Txn", pb_all(&txn), NULL, a);
}

static void txn(void)
{
    struct answer a;
    cs_bytes value;
    put("swap", "old", 0, &a);
    swap("swap", "old", "new", &a);
    WANT(a.err == CS_OK && number_of(reply_of(&a), 2) == 1, "not swapped %s", a.errmsg);
    swap("swap", "old", "newer", &a);
    WANT(a.err == CS_OK && number_of(reply_of(&a), 2) == 0, "swapped twice %s", a.errmsg);
    WANT(range("swap", &a, &value) == 1 && is(value, "new"), "%.*s", CS_FMT(value));
}

/* ---- Watch ------------------------------------------------------------------------------------ */

enum { EVENTS = 50 };

static unsigned events;
static bool all_events;
static int64_t watch_id = -1;

static void on_watch(struct stream *s)
{
    cs_bytes response = cs_bytes_of(s->last, s->last_len), event;
    if (number_of(response, 3)) /* created */
        watch_id = number_of(response, 2);
    for (unsigned i = 0; pb_find(response, 11, i, NULL, &event); i++) {
        char wanted[16];
        cs_bytes value = bytes_of(bytes_of(event, 2), 5);
        snprintf(wanted, sizeof wanted, "%u", events++);
        if (!is(value, wanted))
            kit_fail(__LINE__, "event %s is %.*s", wanted, CS_FMT(value));
    }
    if (events == EVENTS)
        kit_done(&all_events);
}

static bool watch_say(struct stream *s, unsigned field, const struct pb *inner)
{
    struct pb request = {.len = 0};
    pb_message(&request, field, inner);
    return kit_send(s, pb_all(&request));
}

static void watch(void)
{
    struct stream s = {.on_message = on_watch};
    struct pb create = {.len = 0}, cancel = {.len = 0};
    struct answer a;
    pb_text(&create, 1, "watched");
    WANT(mux_stream_open(conn, "/etcdserverpb.Watch/Watch", NULL, &kit_ops, &s, &s.stream) == CS_OK,
         "-");
    WANT(watch_say(&s, 1, &create), "not sent");
    kit_next(&s);
    WANT(watch_id >= 0, "it was not created: %s", s.errmsg);
    for (int i = 0; i < EVENTS; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        put("watched", text, 0, &a);
        WANT(a.err == CS_OK, "%s", a.errmsg);
    }
    kit_wait(&all_events);
    pb_number(&cancel, 1, watch_id);
    WANT(watch_say(&s, 2, &cancel), "not sent");
    kit_next(&s);
    WANT(number_of(cs_bytes_of(s.last, s.last_len), 4) == 1, "it was not cancelled");
    put("watched", "nobody hears this", 0, &a);
    WANT(watch_say(&s, 1, &create), "not sent"); /* another watch on the same stream */
    kit_next(&s);
    WANT(events == EVENTS, "%u events", events);
    put("watched", "50", 0, &a);
    while (events == EVENTS && !s.done)
        kit_next(&s);
    mux_stream_cancel(s.stream, CS_ECANCELED); /* a half-close does not end it */
    kit_wait(&s.done);
    WANT(s.why == CS_ECANCELED && events == EVENTS + 1, "%u: %s", events, s.errmsg);
}

/* ---- Lease ------------------------------------------------------------------------------------ */

static void lease(void)
{
    struct pb grant = {.len = 0}, id = {.len = 0};
    struct stream s = {.done = false};
    struct answer a;
    cs_bytes value;
    pb_number(&grant, 1, 60);
    kit_ask(conn, LEASE "LeaseGrant", pb_all(&grant), NULL, &a);
    int64_t lease_id = number_of(reply_of(&a), 2);
    WANT(a.err == CS_OK && lease_id && number_of(reply_of(&a), 3) == 60, "%s", a.errmsg);
    put("leased", "x", lease_id, &a);
    WANT(a.err == CS_OK, "%s", a.errmsg);
    pb_number(&id, 1, lease_id);
    WANT(mux_stream_open(conn, LEASE "LeaseKeepAlive", NULL, &kit_ops, &s, &s.stream) == CS_OK,
         "-");
    for (int i = 0; i < 5; i++) {
        WANT(kit_send(&s, pb_all(&id)), "not sent");
        kit_next(&s);
        cs_bytes alive = cs_bytes_of(s.last, s.last_len);
        WANT(!s.done && number_of(alive, 2) == lease_id && number_of(alive, 3) == 60, "%s",
             s.errmsg);
    }
    WANT(range("leased", &a, &value) == 1, "%s", a.errmsg);
    kit_ask(conn, LEASE "LeaseRevoke", pb_all(&id), NULL, &a);
    WANT(a.err == CS_OK, "%s", a.errmsg);
    WANT(range("leased", &a, &value) == 0, "its key is still there");
    WANT(kit_send(&s, pb_all(&id)), "not sent");
    kit_next(&s);
    WANT(number_of(cs_bytes_of(s.last, s.last_len), 3) == 0, "it lives on");
    mux_stream_finish(s.stream, CS_OK, NULL);
    kit_wait(&s.done);
    WANT(s.why == CS_DONE, "%s", s.errmsg);
}

/* ---- What goes wrong -------------------------------------------------------------------------- */

static void errors(void)
{
    struct answer a;
    struct pb request = {.len = 0};
    put("", "no key", 0, &a);
    WANT(a.err == CS_EINVAL && strstr(a.errmsg, "key is not provided"), "%s", a.errmsg);
    put("a", "no such lease", 77, &a);
    WANT(a.err == CS_ENOENT && strstr(a.errmsg, "lease not found"), "%s", a.errmsg);
    pb_text(&request, 1, "a");
    pb_number(&request, 4, INT64_C(1) << 40);
    kit_ask(conn, KV "Range", pb_all(&request), NULL, &a);
    WANT(a.err == CS_ERANGE && strstr(a.errmsg, "future revision"), "%s", a.errmsg);
    kit_ask(conn, KV "Range", cs_str("\xff"), NULL, &a);
    WANT(a.err == CS_EINTERNAL, "%s: %s", cs_strerror(a.err), a.errmsg);
    kit_ask(conn, KV "Nothing", cs_str(""), NULL, &a);
    WANT(a.err == CS_ENOTSUP, "%s", a.errmsg);
}

/* etcd may answer a deadline that passed with UNKNOWN, before ours has; both are told in time. */
static void deadline(void)
{
    struct pb grant = {.len = 0}, request = {.len = 0}, id = {.len = 0};
    struct answer a;
    pb_number(&grant, 1, 60);
    for (int i = 0; i < 2; i++) { /* the second waits for the first one's lock */
        kit_ask(conn, LEASE "LeaseGrant", pb_all(&grant), NULL, &a);
        int64_t lease_id = number_of(reply_of(&a), 2);
        request.len = 0;
        pb_text(&request, 1, "lock");
        pb_number(&request, 2, lease_id);
        if (i == 0)
            pb_number(&id, 1, lease_id);
        kit_ask(conn, "/v3lockpb.Lock/Lock", pb_all(&request),
                &(struct mux_call_options){.timeout_ms = i == 0 ? 10000 : 500}, &a);
        if (i == 0)
            WANT(a.err == CS_OK, "%s", a.errmsg);
    }
    WANT(a.err == CS_ETIMEOUT ||
             (a.err == CS_EUNKNOWN && strstr(a.errmsg, "context deadline exceeded")),
         "%s: %s", cs_strerror(a.err), a.errmsg);
    kit_ask(conn, LEASE "LeaseRevoke", pb_all(&id), NULL, &a);
    WANT(a.err == CS_OK, "%s", a.errmsg);
}

int main(int argc, char **argv)
{
    if (argc != 2 || cs_loop_new(NULL, &loop) != CS_OK ||
        mux_dial(loop, argv[1], NULL, &conn) != CS_OK)
        return 2;
    kit_suite = "etcd";
    kit_run("a call waits until it is there", waits_for_it);
    kit_run("Put and Range", put_and_range);
    kit_run("Txn compares and swaps", txn);
    kit_run("Watch tells fifty events in order, and is cancelled", watch);
    kit_run("a lease is granted, kept alive and revoked", lease);
    kit_run("errors in its own words", errors);
    kit_run("a deadline is met", deadline);
    mux_conn_free(conn);
    cs_loop_run(loop);
    cs_loop_free(loop);
    return kit_failed ? 3 : 0;
}
