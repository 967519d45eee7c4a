/* tap -- see tap.h.  Two in-memory links, and what comes out of one goes into the other. */
#include "test/docs/tap.h"

#include "base/mem.h"
#include "chanserv/client__in.h"
#include "chanserv/server__in.h"
#include "mux/link__in.h"
#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

enum { PREFACE = 24, HEAD = 9, DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6 };

static struct ear { /* what one side says */
    struct tap *tap;
    const char *who;
    mux__link *link, *other;
    nghttp2_hd_inflater *inflater;
    uint8_t in[64 * 1024];
    size_t in_len;
    bool expects_preface;
} ears[2];

static struct tap_item *item_new(struct tap *tap)
{
    cr_assert_lt(tap->items_len, sizeof tap->items / sizeof *tap->items);
    return &tap->items[tap->items_len++];
}

static void payload_set(struct tap_item *item, const uint8_t *bytes, size_t len)
{
    cr_assert_leq(len, sizeof item->payload);
    memcpy(item->payload, bytes, len);
    item->payload_len = len;
}

static void fields_set(struct ear *ear, struct tap_item *item, uint8_t *block, size_t len)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(ear->inflater, &nv, &flags, block, len, 1);

        cr_assert_geq(n, 0);
        block += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            cr_assert_lt(item->fields_len, sizeof item->fields / sizeof *item->fields);
            snprintf(item->fields[item->fields_len++], sizeof *item->fields, "%.*s: %.*s",
                     (int)nv.namelen, (char *)nv.name, (int)nv.valuelen, (char *)nv.value);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(ear->inflater);
}

static void hear_frame(struct ear *ear, uint8_t *frame, size_t len)
{
    static const char *const names[] = {"DATA",       "HEADERS",  "PRIORITY",
                                        "RST_STREAM", "SETTINGS", "PUSH_PROMISE",
                                        "PING",       "GOAWAY",   "WINDOW_UPDATE"};
    struct tap_item *item = item_new(ear->tap);
    uint8_t type = frame[3], flags = frame[4];
    const char *said = "";

    cr_assert_lt(type, sizeof names / sizeof *names);
    if (flags & 1 && type <= HEADERS)
        said = " END_STREAM";
    else if (flags & 1 && (type == SETTINGS || type == PING))
        said = " ACK";
    snprintf(item->title, sizeof item->title, "%s %s %u%s", ear->who, names[type], frame[8], said);
    if (type == HEADERS)
        fields_set(ear, item, frame + HEAD, len - HEAD);
    else if (type == DATA)
        payload_set(item, frame + HEAD, len - HEAD);
    else
        payload_set(item, frame, len);
}

static void hear(struct ear *ear)
{
    size_t at = 0, len;

    if (ear->expects_preface && ear->in_len >= PREFACE) {
        struct tap_item *item = item_new(ear->tap);
        snprintf(item->title, sizeof item->title, "%s preface", ear->who);
        payload_set(item, ear->in, PREFACE);
        at = PREFACE;
        ear->expects_preface = false;
    }
    while (ear->in_len - at >= HEAD) {
        len = HEAD + ((size_t)ear->in[at] << 16 | (size_t)ear->in[at + 1] << 8 | ear->in[at + 2]);
        if (ear->in_len - at < len)
            break;
        hear_frame(ear, ear->in + at, len);
        at += len;
    }
    memmove(ear->in, ear->in + at, ear->in_len - at);
    ear->in_len -= at;
}

static void on_ready(int can, void *user)
{
    struct ear *ear = user;
    struct iovec v = {.iov_base = ear->in + ear->in_len};
    size_t taken;
    cs_err err;

    (void)can;
    err = mux__link_read(ear->link, v.iov_base, sizeof ear->in - ear->in_len, &v.iov_len);
    if (err != CS_OK) { /* one end closed, so the other may go */
        mux__link_want(ear->link, false, false);
        return;
    }
    cr_assert_eq(mux__link_write(ear->other, &v, 1, &taken), CS_OK);
    cr_assert_eq(taken, v.iov_len);
    ear->in_len += v.iov_len;
    hear(ear);
}

static void ear_begin(struct tap *tap, struct ear *ear, const char *who)
{
    mux__link *other = ear->other, *link = ear->link;

    *ear = (struct ear){.tap = tap, .who = who, .link = link, .other = other};
    cr_assert_eq(nghttp2_hd_inflate_new(&ear->inflater), 0);
    mux__link_listen(link, on_ready, ear);
    mux__link_want(link, true, false);
}

void tap_begin(struct tap *tap)
{
    mux__link *left[2], *right[2];
    mux_handlers *handlers;
    const struct chanserv_client_options options = {.lookup_timeout_ms = CS_OFF};
    struct chanserv__node *node;
    mux_conn *conn;

    memset(tap, 0, sizeof *tap);
    cr_assert_eq(cs_loop_new_virtual(&tap->loop), CS_OK);
    cr_assert_eq(chanserv_server_new(tap->loop, NULL, &tap->server), CS_OK);
    cr_assert_eq(chanserv_client_new(tap->loop, &options, &tap->client), CS_OK);
    handlers = chanserv__server_handlers(tap->server);

    cr_assert_eq(mux__link_pair(tap->loop, left), CS_OK);
    cr_assert_eq(mux__link_pair(tap->loop, right), CS_OK);
    ears[0].link = ears[1].other = left[1];
    ears[1].link = ears[0].other = right[0];
    ear_begin(tap, &ears[0], "client");
    ear_begin(tap, &ears[1], "server");
    ears[0].expects_preface = true;

    cr_assert_eq(mux__conn_new(tap->loop, &tap->client->options.net, false, &conn), CS_OK);
    conn->authority = cs_strdup("127.0.0.1:5555");
    cr_assert_eq(mux__h2_new(conn), CS_OK);
    mux__conn_up(conn, left[0]);
    cr_assert_eq(chanserv__nodes_add(tap->client, NULL, conn, &node), CS_OK);
    cr_assert_eq(mux__conn_accept(tap->loop, right[1], chanserv__server_net(tap->server), handlers,
                                  &handlers->local_conns, NULL),
                 CS_OK);
}

void tap_end(struct tap *tap)
{
    chanserv_client_free(tap->client);
    cs_loop_settle(tap->loop);
    chanserv_server_free(tap->server);
    for (int i = 0; i < 2; i++) {
        mux__link_free(ears[i].link);
        nghttp2_hd_inflate_del(ears[i].inflater);
    }
    cs_loop_settle(tap->loop);
    cs_loop_free(tap->loop);
}
