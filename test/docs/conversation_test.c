/* conversation -- docs/WIRE shows one, frame by frame; here it takes place, and must be that one.
 *
 * CHANSERV_SAY=1 prints it as it was, to be put into the page. */
#include "test/docs/doc.h"
#include "test/docs/tap.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct tap tap;

/* ---- The server's part: #0 has two frames, #1 is eager and has one, #2 says nothing ---------- */

struct part {
    const char *frames[3];
    bool silent;
    size_t at;
};

static cs_err part_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct part *part = state;

    (void)outlet;
    if (part->silent)
        return CS_AGAIN;
    if (!part->frames[part->at])
        return CS_DONE;
    *frame = cs_str(part->frames[part->at++]);
    return CS_OK;
}
static const struct chanserv_outlet_ops lazy = {.state_bytes = sizeof(struct part),
                                                .next = part_next};
static const struct chanserv_outlet_ops eager = {
    .state_bytes = sizeof(struct part), .next = part_next, .eager = true};

static cs_err ticker(chanserv_post *post, cs_bytes body, void *user)
{
    struct part two = {.frames = {"wait for me!", "ok I'm ready"}}, one = {.frames = {"at once"}};
    struct part silent = {.silent = true};

    (void)user;
    chanserv_announce(post, body, &lazy, &two, NULL);
    chanserv_announce(post, cs_str("small"), &eager, &one, NULL);
    chanserv_announce(post, cs_str("quiet"), &lazy, &silent, NULL);
    return CS_DONE;
}

/* ---- The client's: reads #0 and #1, leaves #2, and asks for a service that is not there ------ */

static void take(chanserv_source *source, size_t frames)
{
    cs_bytes frame;

    for (size_t i = 0; i < frames; i++)
        cr_assert_eq(chanserv_source_recv(source, &frame), CS_OK);
    cr_assert_eq(chanserv_source_recv(source, &frame), CS_DONE);
}

static void converse(void)
{
    const cs_pair who = {cs_str("who"), cs_str("me")};
    const struct chanserv_post_options options = {
        .timeout_ms = 5000, .metadata = &who, .metadata_len = 1};
    chanserv_source *sources[3];
    chanserv_feed *feed, *nobody;

    cr_assert_eq(chanserv_serve(tap.server, "ticker", ticker, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(tap.client, "ticker", cs_str("hello"), &options, &feed),
                 CS_OK);
    cs_loop_settle(tap.loop);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chanserv_feed_recv(feed, &sources[i]), CS_OK);
    cr_assert_eq(chanserv_source_open(sources[0], 0), CS_OK);
    cs_loop_settle(tap.loop);
    take(sources[0], 2);
    cr_assert_eq(chanserv_source_open(sources[1], 0), CS_OK);
    take(sources[1], 1);
    cr_assert_eq(chanserv_source_open(sources[2], 0), CS_OK);
    cs_loop_settle(tap.loop);
    chanserv_source_close(sources[2]);
    cs_loop_settle(tap.loop);
    cr_assert_eq(chanserv_lookup_and_post(tap.client, "nobody", cs_str(""), NULL, &nobody), CS_OK);
    cs_loop_settle(tap.loop);
    cr_assert_eq(chanserv_feed_status(nobody), CS_ENOENT);
}

/* ---- Held against the page ------------------------------------------------------------------ */

static void print_item(const struct tap_item *item)
{
    char *dump = doc_dump(cs_bytes_of(item->payload, item->payload_len));

    printf("%s\n", item->title);
    for (size_t i = 0; i < item->fields_len; i++)
        printf("    %s\n", item->fields[i]);
    if (item->payload_len > 0)
        printf("    %s\n", dump);
    free(dump);
}

struct expected {
    const struct tap_item *item;
    struct doc_bytes bytes;
    size_t fields;
};

/* All that the page says of the item was compared: now the bytes. */
static void expected_end(struct expected *e)
{
    char *dump;

    if (!e->item)
        return;
    dump = doc_dump(cs_bytes_of(e->item->payload, e->item->payload_len));
    cr_assert(doc_same(&e->bytes, cs_bytes_of(e->item->payload, e->item->payload_len)), "%s is: %s",
              e->item->title, dump);
    cr_assert_eq(e->fields, e->item->fields_len, "%s has %zu fields", e->item->title,
                 e->item->fields_len);
    free(dump);
}

/* From the item `next` on. */
static void compare(cs_bytes text, size_t next)
{
    static struct expected e;
    cs_bytes line;

    while (doc_line(&text, &line)) {
        const char *from = line.base;
        if (line.len == 0)
            continue;
        if (from[0] != ' ') { /* a title */
            expected_end(&e);
            cr_assert_lt(next, tap.items_len, "never said: %.*s", CS_FMT(line));
            memset(&e, 0, sizeof e);
            e.item = &tap.items[next++];
            cr_assert(cs_same(line, cs_str(e.item->title)), "\"%.*s\" was: %s", CS_FMT(line),
                      e.item->title);
        } else if (e.item && e.fields < e.item->fields_len) {
            cs_bytes field = cs_bytes_of(from + 4, line.len - 4);
            cr_assert(cs_glob(field, cs_str(e.item->fields[e.fields])), "\"%.*s\" was: %s",
                      CS_FMT(field), e.item->fields[e.fields]);
            e.fields++;
        } else {
            doc_hex(&e.bytes, line);
        }
    }
    expected_end(&e);
    cr_assert_eq(next, tap.items_len, "and then: %s", tap.items[next].title);
}

static void held_to_the_page(const char *name, size_t from)
{
    char *page = doc_read("docs/WIRE");
    const char *at = page;
    struct doc_block block;

    for (size_t i = from; getenv("CHANSERV_SAY") && i < tap.items_len; i++)
        print_item(&tap.items[i]);
    do
        cr_assert(doc_next(&at, "conversation", &block), "there is no %s", name);
    while (strcmp(block.name, name) != 0);
    compare(block.text, from);
    free(page);
}

Test(conversation, takes_place_as_the_page_shows_it)
{
    tap_begin(&tap);
    converse();
    held_to_the_page("ticker", 0);
    tap_end(&tap);
}

/* ---- Talk: the server says back what it hears ------------------------------------------------ */

static cs_err echo_next(chanserv_outlet *outlet, cs_ref *frame, void *state)
{
    (void)state;
    return chanserv_outlet_recv_ref(outlet, frame);
}
static void echo_readable(chanserv_outlet *outlet, void *state)
{
    (void)state;
    chanserv_outlet_wake(outlet);
}
static const struct chanserv_outlet_ops echo_ops = {
    .next_ref = echo_next, .readable = echo_readable, .uplink = true};

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_announce(post, body, &echo_ops, NULL, NULL);

    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

Test(conversation, goes_both_ways_as_the_page_shows_it)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;
    size_t from;

    tap_begin(&tap);
    cr_assert_eq(chanserv_serve(tap.server, "echo", echo, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(tap.client, "echo", cs_str("h"), NULL, &feed), CS_OK);
    cs_loop_settle(tap.loop);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    from = tap.items_len;
    cr_assert_eq(chanserv_source_send(source, cs_str("hi"), CS_NOW), CS_OK);
    cs_loop_settle(tap.loop);
    cr_assert_eq(chanserv_source_recv(source, &frame), CS_OK);
    cr_assert(cs_same(frame, cs_str("hi")));
    chanserv_source_finish(source);
    cs_loop_settle(tap.loop);
    cr_assert_eq(chanserv_source_recv(source, &frame), CS_DONE);
    held_to_the_page("talk", from);
    tap_end(&tap);
}
