#include "test/story/script.h"

#include "base/mem.h"
#include "chanserv/client__in.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct script *script_new(void)
{
    struct script *s = calloc(1, sizeof *s);
    struct chanserv__node *node;
    mux_conn *conn;

    cr_assert_not_null(s);
    cr_assert_eq(cs_loop_new_virtual(&s->loop), CS_OK);
    cr_assert_eq(chanserv_client_new(s->loop, NULL, &s->client), CS_OK);
    s->peer = fake_server(s->loop, NULL, &conn);
    cr_assert_eq(chanserv__nodes_add(s->client, NULL, conn, &node), CS_OK);
    return s;
}

void script_free(struct script *s)
{
    chanserv_client_free(s->client);
    if (s->peer)
        fake_free(s->peer);
    cs_loop_settle(s->loop);
    cs_loop_free(s->loop);
    free(s);
}

static void message(struct script *s, int32_t id, cs_bytes msg, bool end)
{
    uint8_t bytes[256];

    cr_assert_leq(WIRE_PREFIX + msg.len, sizeof bytes);
    wire_prefix_put(bytes, false, (uint32_t)msg.len);
    memcpy(bytes + WIRE_PREFIX, msg.base, msg.len);
    fake_frame(s->peer, FAKE_DATA, end ? FAKE_END : 0, id,
               cs_bytes_of(bytes, WIRE_PREFIX + msg.len));
}

chanserv_source *script_source(struct script *s)
{
    const struct wire_announcement a = {.ticket = cs_str("a ticket"), .header = cs_str("h")};
    chanserv_source *source;
    uint8_t *bytes;
    size_t len;

    cr_assert_eq(chanserv_lookup_and_post(s->client, "any", cs_str(""), NULL, &s->feed), CS_OK);
    cs_loop_settle(s->loop);
    fake_answer(s->peer, 1);
    cr_assert_eq(wire_announcement_pack(&a, &bytes, &len), CS_OK);
    message(s, 1, cs_bytes_of(bytes, len), false);
    cs_free(bytes);
    cs_loop_settle(s->loop);
    cr_assert_eq(chanserv_feed_recv(s->feed, &source), CS_OK);
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_settle(s->loop);
    fake_answer(s->peer, 3);
    return source;
}

void script_frame(struct script *s, const char *payload, bool end)
{
    uint8_t msg[WIRE_FRAME_HEAD + 64];
    size_t head = wire_frame_head(msg, strlen(payload), false);

    cr_assert_leq(strlen(payload), 64);
    memcpy(msg + head, payload, strlen(payload));
    message(s, 3, cs_bytes_of(msg, head + strlen(payload)), end);
}
