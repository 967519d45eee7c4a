/* as_protobuf -- our decoders of control messages held against protobuf-c's, whatever the bytes.
 *
 * Where a message inside is said twice protobuf-c forgets what the second says is nothing, and only
 * then; a text that is none and a session of another length are refused by us alone. */
#ifndef TEST_PROTO_AS_PROTOBUF_H
#define TEST_PROTO_AS_PROTOBUF_H

#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "proto/wire__field.h"

#include <stdlib.h>

static void as_protobuf_must(bool held)
{
    if (!held)
        abort();
}

/* How often the field is there; and whether each is a text. */
static size_t as_protobuf_fields(cs_bytes msg, uint32_t number, bool *texts)
{
    struct wire__field field;
    size_t n = 0;

    while (wire__field_next(&msg, &field) == CS_OK) {
        if (field.number != number)
            continue;
        n++;
        if (texts && field.type == WIRE__BYTES && !wire__text_ok(field.bytes))
            *texts = false;
    }
    return n;
}

static bool as_protobuf_same(cs_bytes mine, ProtobufCBinaryData theirs)
{
    return cs_same(mine, cs_bytes_of(theirs.data, theirs.len));
}

static void as_protobuf_channel(const struct wire_channel *mine,
                                const Chanserv__V1__Channel *theirs, size_t times)
{
    as_protobuf_must(mine->present == (theirs != NULL));
    if (!theirs || times > 1)
        return;
    as_protobuf_must(as_protobuf_same(mine->session, theirs->session));
    as_protobuf_must(mine->attempt == theirs->attempt && mine->number == theirs->number);
}

static bool as_protobuf_channel_ok(const Chanserv__V1__Channel *theirs)
{
    return !theirs || theirs->session.len == 16;
}

static void as_protobuf_post(cs_bytes msg)
{
    Chanserv__V1__PostRequest *theirs = chanserv__v1__post_request__unpack(NULL, msg.len, msg.base);
    struct wire_post mine;
    cs_err err = wire_post_parse(msg, &mine);
    size_t channels = as_protobuf_fields(msg, 6, NULL);
    bool strict = true;

    (void)as_protobuf_fields(msg, 1, &strict);
    (void)as_protobuf_fields(msg, 3, &strict);
    as_protobuf_must(err != CS_OK || (theirs && strict));
    if (theirs && strict && channels < 2)
        as_protobuf_must((err == CS_OK) == as_protobuf_channel_ok(theirs->channel));
    if (err == CS_OK) {
        as_protobuf_must(cs_same(mine.service, cs_str(theirs->service)));
        as_protobuf_must(cs_same(mine.bucket, cs_str(theirs->bucket)));
        as_protobuf_must(as_protobuf_same(mine.body, theirs->body));
        as_protobuf_must(mine.inline_bytes == theirs->inline_bytes && mine.from == theirs->from);
        as_protobuf_channel(&mine.channel, theirs->channel, channels);
    }
    if (theirs)
        chanserv__v1__post_request__free_unpacked(theirs, NULL);
}

static void as_protobuf_open(cs_bytes msg)
{
    Chanserv__V1__OpenRequest *theirs = chanserv__v1__open_request__unpack(NULL, msg.len, msg.base);
    struct wire_open mine;
    cs_err err = wire_open_parse(msg, &mine);
    size_t channels = as_protobuf_fields(msg, 3, NULL);

    as_protobuf_must(err != CS_OK || theirs);
    if (theirs && channels < 2)
        as_protobuf_must((err == CS_OK) == as_protobuf_channel_ok(theirs->channel));
    if (err == CS_OK) {
        as_protobuf_must(as_protobuf_same(mine.ticket, theirs->ticket));
        as_protobuf_must(mine.from == theirs->from);
        as_protobuf_channel(&mine.channel, theirs->channel, channels);
    }
    if (theirs)
        chanserv__v1__open_request__free_unpacked(theirs, NULL);
}

/* Frames are held against protobuf-c by themselves: here, which of them are there. */
static size_t as_protobuf_frames(const Chanserv__V1__Announcement *theirs, bool *whole)
{
    size_t n = 0;

    for (size_t i = 0; i < theirs->n_frames; i++) {
        n += theirs->frames[i]->what_case != CHANSERV__V1__FRAME__WHAT__NOT_SET;
        *whole = *whole && !theirs->frames[i]->more;
    }
    return n;
}

static void as_protobuf_end(const struct wire_status *mine, const Chanserv__V1__Status *theirs,
                            size_t times)
{
    as_protobuf_must(mine->present == (theirs != NULL));
    if (!theirs || times > 1)
        return;
    as_protobuf_must(mine->code == theirs->code);
    as_protobuf_must(cs_same(mine->message, cs_str(theirs->message)));
    as_protobuf_must(cs_same(mine->reason, cs_str(theirs->reason)));
}

static bool as_protobuf_ends_ok(cs_bytes msg)
{
    struct wire__field field;
    bool strict = true;

    while (wire__field_next(&msg, &field) == CS_OK) {
        if (field.number != 5)
            continue;
        (void)as_protobuf_fields(field.bytes, 2, &strict);
        (void)as_protobuf_fields(field.bytes, 3, &strict);
    }
    return strict;
}

static void as_protobuf_announcement(cs_bytes msg)
{
    Chanserv__V1__Announcement *theirs =
        chanserv__v1__announcement__unpack(NULL, msg.len, msg.base);
    struct wire_announcement mine;
    cs_err err = wire_announcement_unpack(msg, &mine);
    bool strict = !theirs || as_protobuf_ends_ok(msg);
    size_t frames = theirs ? as_protobuf_frames(theirs, &strict) : 0;

    as_protobuf_must((err == CS_OK) == (theirs && strict));
    if (err == CS_OK) {
        as_protobuf_must(mine.seq == theirs->seq && mine.frames_len == frames);
        as_protobuf_must(as_protobuf_same(mine.ticket, theirs->ticket));
        as_protobuf_must(as_protobuf_same(mine.header, theirs->header));
        as_protobuf_must(mine.eager == !!theirs->eager && mine.uplink == !!theirs->uplink);
        as_protobuf_end(&mine.end, theirs->end, as_protobuf_fields(msg, 5, NULL));
        wire_announcement_clear(&mine);
    }
    if (theirs)
        chanserv__v1__announcement__free_unpacked(theirs, NULL);
}

#endif
