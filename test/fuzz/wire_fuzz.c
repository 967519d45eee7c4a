/* Any bytes into every decoder of the wire.  They are held against protobuf-c, and what was taken
 * must survive a second journey. */
#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/status.h"
#include "proto/wire.h"
#include "proto/wire__field.h"
#include "test/proto/as_general.h"
#include "test/proto/as_protobuf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool held)
{
    if (!held)
        abort();
}

/* protobuf-c forgets the first of two gaps; protobuf, and we, merge them. */
static size_t gaps_in(cs_bytes msg)
{
    struct wire__field field;
    size_t n = 0;

    while (wire__field_next(&msg, &field) == CS_OK)
        n += field.number == 2;
    return n;
}

static void frame_as_protobuf(cs_bytes msg)
{
    struct wire_frame mine;
    cs_err err = wire_frame_parse(msg, &mine);
    Chanserv__V1__Frame *theirs = chanserv__v1__frame__unpack(NULL, msg.len, msg.base);

    must(err == (theirs ? CS_OK : CS_EPROTO));
    if (!theirs)
        return;
    must(mine.more == !!theirs->more);
    if (theirs->what_case == CHANSERV__V1__FRAME__WHAT_PAYLOAD) {
        must(mine.kind == WIRE_PAYLOAD);
        must(cs_same(mine.payload, cs_bytes_of(theirs->payload.data, theirs->payload.len)));
    } else if (theirs->what_case == CHANSERV__V1__FRAME__WHAT_GAP) {
        must(mine.kind == WIRE_GAP);
        must(gaps_in(msg) > 1 ||
             (mine.gap_count == theirs->gap->count && mine.gap_reason == theirs->gap->reason));
    } else {
        must(mine.kind == WIRE_HEARTBEAT);
    }
    chanserv__v1__frame__free_unpacked(theirs, NULL);
}

static void post(cs_bytes msg)
{
    struct wire_post one, two;
    uint8_t *bytes;
    size_t len;

    if (wire_post_parse(msg, &one) != CS_OK)
        return;
    must(wire_post_pack(&one, &bytes, &len) == CS_OK);
    must(wire_post_parse(cs_bytes_of(bytes, len), &two) == CS_OK);
    must(cs_same(one.service, two.service) && cs_same(one.body, two.body));
    must(cs_same(one.bucket, two.bucket) && one.from == two.from);
    must(one.channel.present == two.channel.present && one.inline_bytes == two.inline_bytes);
    (void)wire_service_name_ok(one.service);
    cs_free(bytes);
}

static void opening(cs_bytes msg)
{
    struct wire_open one, two;
    uint8_t *bytes;
    size_t len;

    if (wire_open_parse(msg, &one) != CS_OK)
        return;
    must(wire_open_pack(&one, &bytes, &len) == CS_OK);
    must(wire_open_parse(cs_bytes_of(bytes, len), &two) == CS_OK);
    must(cs_same(one.ticket, two.ticket) && one.from == two.from);
    must(cs_same(one.channel.session, two.channel.session));
    cs_free(bytes);
}

static void said_up(cs_bytes msg)
{
    struct wire_up up;
    Chanserv__V1__Up *theirs = chanserv__v1__up__unpack(NULL, msg.len, msg.base);
    cs_err err = wire_up_parse(msg, &up);

    must(err == CS_OK || !theirs);
    if (err == CS_OK && up.kind == WIRE_UP_OPEN)
        opening(up.open);
    if (theirs) {
        must((up.kind == WIRE_UP_FRAME) == (theirs->what_case == CHANSERV__V1__UP__WHAT_FRAME));
        chanserv__v1__up__free_unpacked(theirs, NULL);
    }
}

/* What we take of acks, protobuf-c does, and reads the same in it; what it takes of texts, so do we. */
static void acks_as_protobuf(cs_bytes acks, bool taken, bool strict, Chanserv__V1__Ack **theirs,
                             size_t n)
{
    struct wire_ack mine;
    cs_err err = CS_DONE;
    uint64_t seq;
    size_t i = 0;

    for (; taken && (err = wire_ack_next(&acks, &mine)) == CS_OK; i++) {
        if (i >= n)
            continue;
        must(mine.number == theirs[i]->number && mine.next == theirs[i]->next);
        must(mine.done == !!theirs[i]->done && cs_same(mine.reason, cs_str(theirs[i]->reason)));
        for (size_t k = 0; k < theirs[i]->n_skip; k++)
            must(wire_skip_next(&mine.skips, &seq) && seq == theirs[i]->skip[k]);
        must(!wire_skip_next(&mine.skips, &seq));
    }
    taken = taken && err == CS_DONE;
    must(!taken || (theirs && i == n));
    must(taken || !theirs || !strict);
}

/* In two things we are stricter: what is a session, and a text. */
static bool is_strict(cs_bytes msg, bool has_session)
{
    struct wire__field field;
    bool strict = true;

    while (wire__field_next(&msg, &field) == CS_OK) {
        if (has_session && field.number == 1 && field.bytes.len != 0 && field.bytes.len != 16)
            return false;
        if (field.number == 3 && field.type == WIRE__BYTES)
            (void)as_protobuf_fields(field.bytes, 4, &strict);
    }
    return strict;
}

static void sessions_as_protobuf(cs_bytes msg)
{
    static Chanserv__V1__Ack *none[1];
    struct wire_session_up up = {0};
    struct wire_session_down down = {0};
    Chanserv__V1__SessionUp *their_up = chanserv__v1__session_up__unpack(NULL, msg.len, msg.base);
    Chanserv__V1__SessionDown *their_down =
        chanserv__v1__session_down__unpack(NULL, msg.len, msg.base);
    bool taken = wire_session_up_parse(msg, &up) == CS_OK;

    if (taken && their_up)
        must(cs_same(up.session, cs_bytes_of(their_up->session.data, their_up->session.len)) &&
             up.attempt == their_up->attempt);
    acks_as_protobuf(up.acks, taken, is_strict(msg, true),
                     !their_up         ? NULL
                     : !their_up->acks ? none
                                       : their_up->acks,
                     their_up ? their_up->n_acks : 0);
    taken = wire_session_down_parse(msg, &down) == CS_OK;
    if (taken && their_down)
        must(cs_same(down.instance,
                     cs_bytes_of(their_down->instance.data, their_down->instance.len)) &&
             down.linger_ms == their_down->linger_ms);
    acks_as_protobuf(down.acks, taken, is_strict(msg, false),
                     !their_down         ? NULL
                     : !their_down->acks ? none
                                         : their_down->acks,
                     their_down ? their_down->n_acks : 0);
    if (their_up)
        chanserv__v1__session_up__free_unpacked(their_up, NULL);
    if (their_down)
        chanserv__v1__session_down__free_unpacked(their_down, NULL);
}

static void announcement(cs_bytes msg)
{
    struct wire_announcement one, two;
    uint8_t *bytes;
    size_t len;

    if (wire_announcement_unpack(msg, &one) != CS_OK)
        return;
    must(wire_announcement_pack(&one, &bytes, &len) == CS_OK);
    must(wire_announcement_unpack(cs_bytes_of(bytes, len), &two) == CS_OK);
    must(one.frames_len == two.frames_len && one.end.present == two.end.present);
    must(cs_same(one.end.message, two.end.message) && cs_same(one.header, two.header));
    for (size_t i = 0; i < one.frames_len; i++) {
        must(one.frames[i].kind == two.frames[i].kind);
        must(cs_same(one.frames[i].payload, two.frames[i].payload));
        must(one.frames[i].kind != WIRE_GAP || one.frames[i].gap_count == two.frames[i].gap_count);
    }
    wire_announcement_clear(&one);
    wire_announcement_clear(&two);
    cs_free(bytes);
}

static void services(cs_bytes msg)
{
    struct wire_services one, two;
    uint8_t *bytes;
    size_t len;

    if (wire_services_unpack(msg, &one) != CS_OK)
        return;
    must(wire_services_pack(&one, &bytes, &len) == CS_OK);
    must(wire_services_unpack(cs_bytes_of(bytes, len), &two) == CS_OK);
    must(one.names_len == two.names_len && cs_same(one.node, two.node));
    for (size_t i = 0; i < one.names_len; i++)
        must(cs_same(one.names[i], two.names[i]));
    wire_services_clear(&one);
    wire_services_clear(&two);
    cs_free(bytes);
}

static void spellings(cs_bytes text)
{
    char encoded[WIRE_MESSAGE_ENCODED_MAX], timeout[10];
    char *room = malloc(text.len + 1);
    int64_t ms, back;
    size_t n;

    must(room != NULL);
    if (wire_timeout_parse(text, &ms) == CS_OK) {
        must(ms >= 0);
        n = wire_timeout_format(timeout, ms);
        must(wire_timeout_parse(cs_bytes_of(timeout, n), &back) == CS_OK && back >= ms);
    }
    must(wire_percent_decode(room, text) <= text.len);
    n = wire_percent_encode(encoded, text);
    must(n <= sizeof encoded);
    n = wire_percent_decode(encoded, cs_bytes_of(encoded, n));
    must(n <= text.len && cs_same(cs_bytes_of(encoded, n), cs_bytes_of(text.base, n)));
    if (wire_base64_decode((uint8_t *)room, text, &n) == CS_OK)
        must(n <= text.len);
    free(room);
    room = malloc(wire_base64_len(text.len) + 1);
    must(room != NULL);
    n = wire_base64_encode(room, text);
    must(wire_base64_decode((uint8_t *)room, cs_bytes_of(room, n), &n) == CS_OK);
    must(cs_same(cs_bytes_of(room, n), text));
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    cs_bytes msg = cs_bytes_of(bytes, len);

    frame_as_protobuf(msg);
    as_protobuf_post(msg);
    as_protobuf_open(msg);
    as_general_open(msg);
    as_general_ack(msg);
    as_protobuf_announcement(msg);
    post(msg);
    opening(msg);
    said_up(msg);
    sessions_as_protobuf(msg);
    announcement(msg);
    services(msg);
    spellings(msg);
    (void)wire_err_of(len > 0 ? bytes[0] : 0, msg);
    return 0;
}
