#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"

#include <stdio.h>

static struct fake f;

/* A feed, one source, opened. */
static chanserv_source *open_one(const struct chanserv_client_options *options)
{
    chanserv_source *source;

    fake_begin(&f, options);
    source = fake_source(&f, fake_post(&f, "ticker"), 0);
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_settle(f.loop);
    return source;
}

static void expect_end(chanserv_source *source, cs_err why)
{
    cs_bytes frame;
    cs_err err = chanserv_source_recv(source, &frame);
    cr_expect_eq(err, why, "wanted %s, got %s", cs_strerror(why), cs_strerror(err));
    cr_expect_eq(chanserv_source_recv(source, &frame), why);
    cr_expect_eq(chanserv_source_status(source), why);
}

Test(frames, are_numbered_from_0)
{
    chanserv_source *source = open_one(NULL);
    fake_frame(&f, 0, "a");
    fake_frame(&f, 0, "b");
    fake_expect(source, "a", 0, 0);
    fake_expect(source, "b", 1, 0);
    fake_frame(&f, 0, "");
    fake_expect(source, "", 2, 0);
    fake_finish(&f, 0, CS_DONE, NULL);
    expect_end(source, CS_DONE);
    fake_end(&f);
}

Test(frames, a_gap_is_told_with_the_next_frame_and_takes_numbers)
{
    chanserv_source *source = open_one(NULL);
    fake_frame(&f, 0, "a");
    fake_gap(&f, 0, 3);
    fake_gap(&f, 0, 4);
    fake_frame(&f, 0, "b");
    fake_frame(&f, 0, "c");
    fake_expect(source, "a", 0, 0);
    fake_expect(source, "b", 8, 7);
    fake_expect(source, "c", 9, 0);
    fake_end(&f);
}

Test(frames, a_gap_at_the_end_is_told_with_the_end)
{
    chanserv_source *source = open_one(NULL);
    fake_frame(&f, 0, "a");
    fake_gap(&f, 0, 5);
    fake_finish(&f, 0, CS_DONE, NULL);
    fake_expect(source, "a", 0, 0);
    cs_loop_settle(f.loop);
    expect_end(source, CS_DONE);
    cr_expect_eq(chanserv_source_gap(source), 5);
    fake_end(&f);
}

Test(frames, a_heartbeat_has_no_number)
{
    chanserv_source *source = open_one(NULL);
    fake_message(&f, 0, cs_str(""));
    fake_frame(&f, 0, "a");
    fake_message(&f, 0, cs_str(""));
    fake_frame(&f, 0, "b");
    fake_expect(source, "a", 0, 0);
    fake_expect(source, "b", 1, 0);
    fake_end(&f);
}

Test(frames, parts_are_put_together_and_numbered_by_the_last)
{
    chanserv_source *source = open_one(NULL);
    cs_bytes frame;
    fake_part(&f, 0, "one ");
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
    fake_message(&f, 0, cs_str("")); /* a heartbeat does no harm there */
    fake_part(&f, 0, "two ");
    fake_frame(&f, 0, "three");
    fake_frame(&f, 0, "next");
    fake_expect(source, "one two three", 2, 0);
    fake_expect(source, "next", 3, 0);
    cr_expect_eq(atomic_load(&f.client->assembling), 0);
    fake_end(&f);
}

Test(frames, a_gap_between_parts_breaks_the_protocol)
{
    chanserv_source *source = open_one(NULL);
    fake_part(&f, 0, "one ");
    fake_gap(&f, 0, 1);
    fake_frame(&f, 0, "two");
    expect_end(source, CS_EPROTO);
    cs_loop_settle(f.loop);
    cr_expect_null(f.opens[0].stream, "the server was told");
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h0): frame makes no sense");
    fake_end(&f);
}

Test(frames, an_end_between_parts_is_no_good_end)
{
    chanserv_source *source = open_one(NULL);
    cs_bytes frame;
    fake_part(&f, 0, "one ");
    fake_finish(&f, 0, CS_DONE, NULL);
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
    cs_loop_settle(f.loop);
    expect_end(source, CS_EPROTO);
    fake_end(&f);
}

Test(frames, a_failure_between_parts_is_that_failure)
{
    chanserv_source *source = open_one(NULL);
    cs_bytes frame;
    fake_part(&f, 0, "one ");
    fake_finish(&f, 0, CS_EDATALOSS, "disk");
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
    cs_loop_settle(f.loop);
    expect_end(source, CS_EDATALOSS);
    fake_end(&f);
}

Test(frames, a_gap_that_overflows_the_number_breaks_the_protocol)
{
    chanserv_source *source = open_one(NULL);
    fake_gap(&f, 0, UINT64_MAX - 1);
    fake_frame(&f, 0, "the last number");
    fake_expect(source, "the last number", UINT64_MAX - 1, UINT64_MAX - 1);
    fake_frame(&f, 0, "one too many");
    expect_end(source, CS_EPROTO);
    fake_end(&f);

    source = open_one(NULL);
    fake_frame(&f, 0, "a");
    fake_gap(&f, 0, UINT64_MAX);
    fake_expect(source, "a", 0, 0);
    expect_end(source, CS_EPROTO);
    fake_end(&f);
}

Test(frames, what_is_no_frame_breaks_the_protocol)
{
    chanserv_source *source = open_one(NULL);
    fake_message(&f, 0, cs_str("\x0a\x05"));
    expect_end(source, CS_EPROTO);
    fake_end(&f);
}

Test(frames, a_frame_over_its_limit_ends_the_source)
{
    const struct chanserv_client_options options = {.frame_max_bytes = 8};
    chanserv_source *source = open_one(&options);
    fake_part(&f, 0, "12345");
    fake_frame(&f, 0, "678");
    fake_expect(source, "12345678", 1, 0);
    fake_part(&f, 0, "12345");
    fake_frame(&f, 0, "6789");
    expect_end(source, CS_ETOOBIG);
    fake_end(&f);

    source = open_one(&options);
    fake_frame(&f, 0, "123456789");
    expect_end(source, CS_ETOOBIG);
    fake_end(&f);
}

Test(frames, being_put_together_share_a_budget)
{
    const struct chanserv_client_options options = {.assembly_bytes = 12};
    chanserv_feed *feed;
    chanserv_source *a, *b;
    cs_bytes frame;

    fake_begin(&f, &options);
    feed = fake_post(&f, "two");
    a = fake_source(&f, feed, 0);
    b = fake_source(&f, feed, 1);
    cr_assert_eq(chanserv_source_open(a, 0), CS_OK);
    cr_assert_eq(chanserv_source_open(b, 0), CS_OK);
    cs_loop_settle(f.loop);
    fake_part(&f, 0, "12345678");
    cr_expect_eq(chanserv_source_recv(a, &frame), CS_AGAIN);
    fake_part(&f, 1, "12345678");
    expect_end(b, CS_ELIMIT);
    chanserv_source_close(b);
    cs_loop_settle(f.loop);
    fake_frame(&f, 0, "abcd"); /* exactly what is left: no doubling */
    fake_expect(a, "12345678abcd", 1, 0);
    chanserv_source_close(a);
    cs_loop_settle(f.loop);
    cr_expect_eq(atomic_load(&f.client->assembling), 0);
    fake_end(&f);
}

Test(frames, can_be_kept_as_references)
{
    chanserv_source *source = open_one(NULL);
    cs_ref plain, whole, nothing;

    fake_frame(&f, 0, "plain");
    fake_part(&f, 0, "in ");
    fake_frame(&f, 0, "parts");
    fake_frame(&f, 0, "");
    cr_assert_eq(chanserv_source_recv_ref(source, &plain), CS_OK);
    cr_assert_eq(chanserv_source_recv_ref(source, &whole), CS_OK);
    cr_assert_eq(chanserv_source_recv_ref(source, &nothing), CS_OK);
    cr_expect_eq(chanserv_source_recv_ref(source, &nothing), CS_AGAIN);
    fake_end(&f);
    cr_expect(cs_same(plain.bytes, cs_str("plain")));
    cr_expect(cs_same(whole.bytes, cs_str("in parts")));
    cr_expect_eq(nothing.bytes.len, 0);
    cs_ref_drop(&plain);
    cs_ref_drop(&whole);
    cs_ref_drop(&nothing);
}

/* ---- Inline -------------------------------------------------------------------------------- */

static struct wire_frame payload_of(const char *text)
{
    struct wire_frame frame = {.kind = WIRE_PAYLOAD, .payload = cs_str(text)};
    return frame;
}

/* a, a gap of 3, b: numbers 0 .. 4 */
static chanserv_source *inline_one(const struct wire_status *end)
{
    struct wire_frame frames[] = {
        payload_of("a"), {.kind = WIRE_GAP, .gap_count = 3}, payload_of("b")};
    struct wire_announcement a = {.header = cs_str("h"), .frames = frames, .frames_len = 3};
    chanserv_source *source;
    chanserv_feed *feed;

    if (end)
        a.end = *end;
    else
        a.ticket = cs_str("t");
    fake_begin(&f, NULL);
    feed = fake_post(&f, "eager");
    fake_announce_full(&f, &a);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    return source;
}

Test(frames, inline_come_first_and_the_open_goes_on_behind_them)
{
    chanserv_source *source = inline_one(NULL);
    fake_expect(source, "a", 0, 0);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 1, "it is opened with the first receive");
    cr_expect_eq(f.opens[0].from, 5);
    fake_frame(&f, 0, "c");
    fake_expect(source, "b", 4, 3);
    fake_expect(source, "c", 5, 0);
    fake_end(&f);
}

Test(frames, inline_outlive_the_announcements_that_brought_them)
{
    enum { MANY = 40 };
    chanserv_source *sources[MANY];
    chanserv_feed *feed;
    char text[MANY][16];

    fake_begin(&f, NULL);
    feed = fake_post(&f, "eager");
    for (size_t i = 0; i < MANY; i++) {
        struct wire_frame frame;
        struct wire_announcement a = {.seq = i,
                                      .ticket = cs_str("t"),
                                      .header = cs_str("h"),
                                      .frames = &frame,
                                      .frames_len = 1};
        snprintf(text[i], sizeof text[i], "source %zu", i);
        frame = payload_of(text[i]);
        fake_announce_full(&f, &a);
        cr_assert_eq(chanserv_feed_recv(feed, &sources[i]), CS_OK);
    }
    for (size_t i = 0; i < MANY; i++)
        fake_expect(sources[i], text[i], 0, 0);
    fake_end(&f);
}

Test(frames, inline_and_complete_need_no_open)
{
    const struct wire_status end = {.present = true, .code = 0};
    chanserv_source *source = inline_one(&end);
    fake_expect(source, "a", 0, 0);
    fake_expect(source, "b", 4, 3);
    expect_end(source, CS_DONE);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens_len, 0);
    fake_end(&f);
}

Test(frames, inline_come_before_a_failure_that_came_with_them)
{
    const struct wire_status end = {.present = true, .code = 5, .message = cs_str("no \"it\"")};
    chanserv_source *source = inline_one(&end);
    fake_expect(source, "a", 0, 0);
    fake_expect(source, "b", 4, 3);
    expect_end(source, CS_ENOENT);
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h): NOT_FOUND: no \"it\"");
    fake_end(&f);
}

Test(frames, inline_can_be_skipped_by_number)
{
    chanserv_source *source = inline_one(NULL);
    cr_expect_eq(chanserv_source_open(source, 2), CS_OK);
    fake_expect(source, "b", 4, 2); /* what is left of the gap */
    fake_end(&f);

    source = inline_one(NULL);
    cr_expect_eq(chanserv_source_open(source, 9), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.opens[0].from, 9);
    fake_frame(&f, 0, "j");
    fake_expect(source, "j", 9, 0);
    fake_end(&f);
}

Test(frames, inline_can_be_kept_as_references)
{
    chanserv_source *source = inline_one(NULL);
    cs_ref ref;
    cr_assert_eq(chanserv_source_recv_ref(source, &ref), CS_OK);
    fake_end(&f);
    cr_expect(cs_same(ref.bytes, cs_str("a")));
    cs_ref_drop(&ref);
}
