/* The C API: who comes, meets and talks, waiting or by callback, on a virtual loop; and the first
 * implementation's tests and examples by it. */
#include "services/rendezvous/meet.h"
#include "services/rendezvous/labels.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { GUESTS = 4 };

struct told {
    int rosters, ends;
    cs_err why;
    bool closes_at_roster, closes_at_end;
};

static void on_roster(rendezvous_meeting *meeting, cs_bytes roster, void *user)
{
    struct told *told = user;

    cr_assert_gt(roster.len, 0);
    told->rosters++;
    if (told->closes_at_roster)
        rendezvous_close(meeting);
}

static void on_end(rendezvous_meeting *meeting, cs_err why, void *user)
{
    struct told *told = user;

    told->ends++;
    told->why = why;
    if (told->closes_at_end)
        rendezvous_close(meeting);
}

static const struct rendezvous_meeting_ops ops = {.roster = on_roster, .end = on_end};

static struct {
    cs_loop *loop;
    chanserv_server *server;
    rendezvous *desk;
    chanserv_client *client;
    rendezvous_meeting *guests[GUESTS];
    struct told told[GUESTS];
} hall;

static cs_err up(void)
{
    cs_err err;

    memset(&hall, 0, sizeof hall);
    if ((err = cs_loop_new_virtual(&hall.loop)) != CS_OK ||
        (err = chanserv_server_new(hall.loop, NULL, &hall.server)) != CS_OK ||
        (err = rendezvous_new(hall.server, NULL, &hall.desk)) != CS_OK ||
        (err = chanserv_client_new(hall.loop, NULL, &hall.client)) != CS_OK)
        return err;
    return chanserv_join_local(hall.client, hall.server);
}

static void leave(int i)
{
    rendezvous_close(hall.guests[i]);
    hall.guests[i] = NULL;
    cs_loop_settle(hall.loop);
}

static void down(void)
{
    for (int i = 0; i < GUESTS; i++)
        rendezvous_close(hall.guests[i]);
    if (hall.client)
        chanserv_client_free(hall.client);
    rendezvous_free(hall.desk);
    if (hall.server)
        chanserv_server_free(hall.server);
    if (hall.loop)
        cs_loop_free(hall.loop);
}

static struct rendezvous_ask ask_of(const char *actor, const char *payload, int64_t mates)
{
    return (struct rendezvous_ask){
        .event = cs_str("e"), .actor = cs_str(actor), .payload = cs_str(payload), .mates = mates};
}

/* Is told by callback. */
static void come_with(int i, const struct rendezvous_ask *ask)
{
    hall.told[i] = (struct told){.ends = 0};
    cr_assert_eq(rendezvous_come(hall.client, ask, &ops, &hall.told[i], &hall.guests[i]), CS_OK);
    cs_loop_settle(hall.loop);
}

/* Waits himself. */
static void come_waiting(int i, const struct rendezvous_ask *ask)
{
    cr_assert_eq(rendezvous_come(hall.client, ask, NULL, NULL, &hall.guests[i]), CS_OK);
}

static void come(int i, const char *actor, const char *payload, int64_t mates)
{
    const struct rendezvous_ask ask = ask_of(actor, payload, mates);

    come_with(i, &ask);
}

static uint64_t waiting(void)
{
    struct rendezvous_counters counters;

    rendezvous_count(hall.desk, &counters);
    return counters.waiting;
}

static void heard(int i, const char *match)
{
    const cs_bytes said = rendezvous_match(hall.guests[i]);

    cr_assert(cs_same(said, cs_str(match)), "%.*s", CS_FMT(said));
}

static void blocks(int i)
{
    cs_loop_settle(hall.loop);
    cr_assert_eq(hall.told[i].ends, 0, "%s", cs_strerror(hall.told[i].why));
    heard(i, "");
}

static void ended(int i, cs_err why)
{
    cs_loop_settle(hall.loop);
    cr_assert(hall.told[i].ends == 1 && hall.told[i].why == why, "%s: %s",
              cs_strerror(hall.told[i].why), rendezvous_errmsg(hall.guests[i]));
}

/* ---- The first implementation's tests and examples ------------------------------------------- */

Test(meet, vm_and_cust)
{
    const struct rendezvous_ask cust = ask_of("CUST", "hello", 0);
    const struct rendezvous_party *all;
    size_t n;

    cr_assert_eq(up(), CS_OK);
    come(0, "VM", "192.168.1.1", 1);
    blocks(0);
    cr_assert_eq(rendezvous_parties(hall.guests[0], &all, &n), CS_EMISUSE, "they have not met");
    come_waiting(1, &cust);
    cr_assert_eq(rendezvous_meet(hall.guests[1]), CS_OK);
    ended(0, CS_OK);
    for (int i = 0; i < 2; i++) {
        heard(i, "{\"payloads\":{\"CUST\":\"hello\",\"VM\":\"192.168.1.1\"}}");
        cr_assert_eq(rendezvous_parties(hall.guests[i], &all, &n), CS_OK);
        cr_assert_eq(n, 2);
        cr_assert(cs_same(all[0].actor, cs_str("CUST")) &&
                  cs_same(all[0].payload, cs_str("hello")));
        cr_assert(cs_same(all[1].actor, cs_str("VM")) &&
                  cs_same(all[1].payload, cs_str("192.168.1.1")));
        cr_assert_str_eq(rendezvous_errmsg(hall.guests[i]), "");
    }
    down();
}

Test(meet, a_triplet)
{
    cr_assert_eq(up(), CS_OK);
    come(0, "a", "1", 2);
    come(1, "b", "2", 2);
    blocks(0);
    blocks(1);
    come(2, "c", "\"\\\n", 2);
    for (int i = 0; i < 3; i++) {
        ended(i, CS_OK);
        heard(i, "{\"payloads\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"\\\"\\\\\\n\"}}");
    }
    down();
}

Test(meet, the_same_actor_twice_must_block)
{
    cr_assert_eq(up(), CS_OK);
    come(0, "a", "", 1);
    come(1, "a", "", 1);
    blocks(0);
    blocks(1);
    down();
}

Test(meet, a_selector_that_rejects_must_block)
{
    struct rendezvous_ask a = ask_of("a", "", 1), b = ask_of("b", "", 1), c = ask_of("c", "", 1);

    cr_assert_eq(up(), CS_OK);
    a.selector = cs_str("zone=west");
    b.labels = cs_str("zone=east");
    c.labels = cs_str("zone=west");
    come_with(0, &a);
    come_with(1, &b);
    blocks(0);
    blocks(1);
    come_with(2, &c);
    ended(2, CS_OK);
    ended(0, CS_OK);
    blocks(1);
    down();
}

/* ---- Its faults, and those of barriers elsewhere ---------------------------------------------- */

Test(meet, three_one_one_the_modest_do_not_wait)
{
    cr_assert_eq(up(), CS_OK);
    come(0, "a", "", 3);
    come(1, "b", "", 1);
    come(2, "c", "", 1);
    ended(1, CS_OK);
    ended(2, CS_OK);
    heard(2, "{\"payloads\":{\"b\":\"\",\"c\":\"\"}}");
    blocks(0);
    down();
}

Test(meet, a_single_party_does_not_pass_a_barrier)
{
    cr_assert_eq(up(), CS_OK);
    come(0, "a", "", 2);
    blocks(0);
    come(1, "b", "", 2);
    blocks(0);
    blocks(1);
    cr_assert_eq(waiting(), 2);
    down();
}

/* Of three who wait one is too late: all agree that nobody has met, and he is not counted any more. */
Test(meet, after_a_timeout_all_agree_and_he_is_not_counted)
{
    struct rendezvous_ask late = ask_of("late", "", 2);

    cr_assert_eq(up(), CS_OK);
    late.timeout_ms = 1000;
    late.key = cs_str("k"); /* his place is kept, so that he can hear again that he was too late */
    come(0, "a", "", 2);
    come_with(1, &late);
    cs_loop_advance(hall.loop, 1000);
    ended(1, CS_ETIMEOUT);
    cr_assert(strstr(rendezvous_errmsg(hall.guests[1]), "missing: 1; here: a, late"), "%s",
              rendezvous_errmsg(hall.guests[1]));
    cr_assert_eq(rendezvous_match(hall.guests[1]).len, 0);
    come(2, "b", "", 2);
    blocks(0);
    blocks(2);
    come(3, "c", "", 2);
    ended(0, CS_OK);
    heard(0, "{\"payloads\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}");
    down();
}

/* Who leaves the first round is already at the second: he wakes nobody there who is still to leave, and
 * meets nobody of the first. */
Test(meet, enter_and_leave_do_not_wake_each_other)
{
    struct rendezvous_ask a = ask_of("a", "", 1), b = ask_of("b", "", 1);

    cr_assert_eq(up(), CS_OK);
    a.generation = b.generation = cs_str("1");
    come_with(0, &a);
    come_waiting(1, &b);
    ended(0, CS_OK);
    a.generation = cs_str("2");
    come_with(2, &a); /* b has not even read that the first round is over */
    blocks(2);
    cr_assert_eq(rendezvous_meet(hall.guests[1]), CS_OK);
    b.generation = cs_str("2");
    come_with(3, &b);
    ended(2, CS_OK);
    ended(3, CS_OK);
    down();
}

Test(meet, who_left_or_was_cancelled_is_met_by_nobody)
{
    cr_assert_eq(up(), CS_OK);
    come(0, "a", "", 1);
    cs_loop_settle(hall.loop);
    leave(0);
    come(1, "b", "", 1);
    cs_loop_settle(hall.loop);
    rendezvous_cancel(hall.guests[1]);
    ended(1, CS_ECANCELED);
    cs_loop_settle(hall.loop);
    cr_assert_eq(waiting(), 0);
    come(2, "c", "", 1);
    blocks(2);
    down();
}

Test(meet, a_match_that_nobody_reads_stops_nobody)
{
    const struct rendezvous_ask a = ask_of("a", "", 1);

    cr_assert_eq(up(), CS_OK);
    come_waiting(0, &a);
    come(1, "b", "", 1);
    ended(1, CS_OK);
    come(2, "c", "", 1);
    come(3, "d", "", 1);
    ended(3, CS_OK);
    cr_assert_eq(rendezvous_meet(hall.guests[0]), CS_OK, "and it is there when he reads it");
    down();
}

/* ---- More that is asked ----------------------------------------------------------------------- */

Test(meet, alone_a_list_has_labels)
{
    struct rendezvous_ask ask = ask_of("a", "p", CS_OFF);
    const struct rendezvous_party *all;
    size_t n;

    cr_assert_eq(up(), CS_OK);
    ask.list = true;
    ask.labels = cs_str("zone=b,size=3");
    come_with(0, &ask);
    ended(0, CS_OK);
    cr_assert_eq(rendezvous_parties(hall.guests[0], &all, &n), CS_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(all[0].labels_len, 2);
    cr_assert(cs_same(all[0].labels[0].name, cs_str("size")) &&
              cs_same(all[0].labels[1].value, cs_str("b")));
    down();
}

Test(meet, a_key_goes_on_in_its_place)
{
    struct rendezvous_ask a = ask_of("a", "pa", 1);

    cr_assert_eq(up(), CS_OK);
    a.key = cs_str("k");
    come_with(0, &a);
    cs_loop_settle(hall.loop);
    leave(0);
    come(1, "b", "", 1);
    ended(1, CS_OK);
    come_with(0, &a);
    ended(0, CS_OK);
    heard(0, "{\"payloads\":{\"a\":\"pa\",\"b\":\"\"}}");
    down();
}

Test(meet, rosters_come_on_the_way)
{
    struct rendezvous_ask ask = ask_of("a", "", 2);
    cs_bytes roster;

    cr_assert_eq(up(), CS_OK);
    ask.roster = true;
    come_waiting(0, &ask);
    cr_assert(rendezvous_range_roster(hall.guests[0], &roster));
    cr_assert(cs_same(roster, cs_str("{\"waiting\":{\"here\":[\"a\"],\"missing\":2}}")));
    come(1, "b", "", 2);
    cr_assert(rendezvous_range_roster(hall.guests[0], &roster));
    cr_assert(cs_same(roster, cs_str("{\"waiting\":{\"here\":[\"a\",\"b\"],\"missing\":1}}")));
    come(2, "c", "", 2);
    cr_assert_not(rendezvous_range_roster(hall.guests[0], &roster));
    cr_assert_eq(rendezvous_meet(hall.guests[0]), CS_OK);
    down();
}

static void talk(chanserv_source *to, chanserv_source *from, const char *words)
{
    cs_bytes frame;

    cr_assert_eq(chanserv_source_send(to, cs_str(words), CS_FOREVER), CS_OK);
    cr_assert(chanserv_range_frame(from, &frame));
    cr_assert(cs_same(frame, cs_str(words)));
}

Test(meet, mates_have_a_channel_each)
{
    static const char *const names[] = {"a", "b", "c"};
    static const char *const headers[3][2] = {{"b", "c"}, {"a", "c"}, {"a", "b"}};

    cr_assert_eq(up(), CS_OK);
    for (int i = 0; i < 3; i++) {
        struct rendezvous_ask ask = ask_of(names[i], "", 2);
        ask.channels = true;
        come_with(i, &ask);
    }
    for (int i = 0; i < 3; i++) {
        ended(i, CS_OK);
        for (size_t c = 0; c < 2; c++) {
            chanserv_source *channel = rendezvous_channel(hall.guests[i], c);
            cr_assert(cs_same(chanserv_source_header(channel), cs_str(headers[i][c])),
                      "%d %zu: %.*s", i, c, CS_FMT(chanserv_source_header(channel)));
            cr_assert_eq(chanserv_source_open(channel, 0), CS_OK);
        }
        cr_assert_null(rendezvous_channel(hall.guests[i], 2));
    }
    talk(rendezvous_channel(hall.guests[0], 1), rendezvous_channel(hall.guests[2], 0), "hello c");
    talk(rendezvous_channel(hall.guests[2], 0), rendezvous_channel(hall.guests[0], 1), "hello a");
    talk(rendezvous_channel(hall.guests[1], 0), rendezvous_channel(hall.guests[0], 0), "and b");
    down();
}

/* Who does not read stops his mate, not the service; and when he reads he has all of it, in order. */
Test(meet, a_channel_is_flow_controlled)
{
    enum { FRAME = 10000, MANY = 10000 };
    static uint32_t out[FRAME / 4], in;
    struct rendezvous_ask a = ask_of("a", "", 1), b = ask_of("b", "", 1);
    chanserv_source *to_b, *to_a;
    uint32_t said = 0, heard_len = 0;
    cs_bytes frame;
    cs_err err = CS_OK;

    cr_assert_eq(up(), CS_OK);
    a.channels = b.channels = true;
    come_with(0, &a);
    come_with(1, &b);
    to_b = rendezvous_channel(hall.guests[0], 0);
    to_a = rendezvous_channel(hall.guests[1], 0);
    cr_assert_eq(chanserv_source_open(to_a, 0), CS_OK);
    for (; err == CS_OK && said < MANY; said += err == CS_OK) {
        out[0] = said;
        err = chanserv_source_send(to_b, cs_bytes_of(out, FRAME), CS_NOW);
        cs_loop_settle(hall.loop);
    }
    cr_assert_eq(err, CS_AGAIN, "%u frames", said);
    cr_assert(said > 1 && said < MANY / 10, "%u frames", said);
    chanserv_source_finish(to_b);
    chanserv_source_finish(to_a);
    for (; chanserv_range_frame(to_a, &frame); heard_len++) {
        memcpy(&in, frame.base, sizeof in);
        cr_assert(in == heard_len && frame.len == FRAME);
    }
    cr_assert_eq(chanserv_source_status(to_a), CS_DONE);
    cr_assert_eq(heard_len, said);
    down();
}

/* ---- By callback ------------------------------------------------------------------------------ */

Test(meet, by_callback_rosters_then_the_end)
{
    struct rendezvous_ask ask = ask_of("a", "", 1);
    struct told told = {.rosters = 0};
    cs_bytes roster;

    cr_assert_eq(up(), CS_OK);
    ask.roster = true;
    cr_assert_eq(rendezvous_come(hall.client, &ask, &ops, &told, &hall.guests[0]), CS_OK);
    cr_assert_eq(told.rosters, 0, "never inside a call");
    cr_assert_eq(rendezvous_meet(hall.guests[0]), CS_EMISUSE);
    cr_assert_not(rendezvous_range_roster(hall.guests[0], &roster));
    cs_loop_settle(hall.loop);
    cr_assert_eq(told.rosters, 1);
    cr_assert_eq(told.ends, 0);
    come(1, "b", "", 1);
    cs_loop_settle(hall.loop);
    cr_assert(told.ends == 1 && told.why == CS_OK);
    heard(0, "{\"payloads\":{\"a\":\"\",\"b\":\"\"}}");
    down();
    cr_assert_eq(told.ends, 1);
}

Test(meet, by_callback_it_may_be_closed_there)
{
    struct rendezvous_ask ask = ask_of("a", "", 1);
    struct told roster = {.closes_at_roster = true}, end = {.closes_at_end = true};
    rendezvous_meeting *m;

    cr_assert_eq(up(), CS_OK);
    ask.roster = true;
    cr_assert_eq(rendezvous_come(hall.client, &ask, &ops, &roster, &m), CS_OK);
    cs_loop_settle(hall.loop);
    cr_assert(roster.rosters == 1 && roster.ends == 0);
    cr_assert_eq(waiting(), 0);
    ask.timeout_ms = 10;
    cr_assert_eq(rendezvous_come(hall.client, &ask, &ops, &end, &m), CS_OK);
    cs_loop_advance(hall.loop, 10);
    cr_assert(end.ends == 1 && end.why == CS_ETIMEOUT);
    down();
}

/* ---- What is wrong ---------------------------------------------------------------------------- */

Test(meet, what_is_wrong_with_the_call_is_said_at_once)
{
    struct rendezvous_ask ask = ask_of("a", "\xff", 1);
    struct told told = {.rosters = 0};
    rendezvous_meeting *m = NULL;

    cr_assert_eq(up(), CS_OK);
    cr_expect_eq(rendezvous_come(hall.client, &ask, NULL, NULL, &m), CS_EINVAL);
    ask = ask_of("", "", 1);
    cr_expect_eq(rendezvous_come(hall.client, &ask, NULL, NULL, &m), CS_EINVAL);
    ask = ask_of("a", "", 1);
    ask.reserved[3] = 1;
    cr_expect_eq(rendezvous_come(hall.client, &ask, NULL, NULL, &m), CS_EMISUSE);
    ask.reserved[3] = 0;
    cr_expect_eq(rendezvous_come(hall.client, &ask, &(struct rendezvous_meeting_ops){0}, &told, &m),
                 CS_EMISUSE);
    ask.service = "no name";
    cr_expect_eq(rendezvous_come(hall.client, &ask, NULL, NULL, &m), CS_EMISUSE);
    cr_expect_null(m);
    ask = ask_of("a", "", -7);
    come_with(0, &ask);
    ended(0, CS_EINVAL);
    cr_expect(strstr(rendezvous_errmsg(hall.guests[0]), "mates: an integer from 0 to 1000000"));
    down();
}

/* A server may say anything: nothing is read or written beyond what there is (ASan). */
Test(meet, a_match_that_is_none_is_refused)
{
    static const char *const rows[] = {"",
                                       "{",
                                       "{\"payloads\":{\"a\":\"b\"}",
                                       "{\"payloads\":{\"a\"}}",
                                       "{\"payloads\":{\"a\":1}}",
                                       "{\"payloads\":[\"a\"]}",
                                       "{\"payloads\":{\"a\":\"b\",}}",
                                       "{\"payloads\":{}}x",
                                       "{\"parties\":[{},{},{},{}}",
                                       "{\"parties\":[{\"actor\":1}]}",
                                       "{\"parties\":[{\"colour\":\"red\"}]}",
                                       "{\"parties\":[{\"labels\":[]}]}",
                                       "{\"waited\":{}}"};
    static const char good[] = "{\"parties\":[{},{},{\"actor\":\"a\",\"labels\":{\"x\":\"1\"}}]}";
    struct rendezvous__match match;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(rendezvous__match_read(cs_str(rows[i]), &match), CS_EPROTO, "%s", rows[i]);
    for (size_t len = 0; len + 1 < sizeof good; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, good, len);
        cut = realloc(cut, len > 0 ? len : 1);
        cr_expect_eq(rendezvous__match_read(cs_bytes_of(cut, len), &match), CS_EPROTO, "%zu", len);
        free(cut);
    }
    cr_assert_eq(rendezvous__match_read(cs_str(good), &match), CS_OK);
    cr_assert_eq(match.len, 3);
    rendezvous__match_fini(&match);
}

/* ---- Without memory --------------------------------------------------------------------------- */

/* Two come and meet, or it is said that they do not. */
static cs_err pair(void)
{
    const struct rendezvous_ask a = ask_of("a", "1", 1), b = ask_of("b", "2", 1);
    const struct rendezvous_party *all;
    size_t n;
    cs_err err;

    if ((err = rendezvous_come(hall.client, &a, NULL, NULL, &hall.guests[0])) != CS_OK ||
        (err = rendezvous_come(hall.client, &b, NULL, NULL, &hall.guests[1])) != CS_OK)
        return err;
    cs_loop_settle(hall.loop);
    if ((err = rendezvous_meet(hall.guests[0])) == CS_OK)
        err = rendezvous_parties(hall.guests[0], &all, &n);
    return err;
}

static void story(void)
{
    if (up() == CS_OK && pair() == CS_OK)
        cr_assert_eq(rendezvous_match(hall.guests[0]).len, 30);
    down();
}

Test(meet, survives_every_failed_allocation_of_the_library)
{
    cr_assert_gt(failing_story(story), 50);
}

static int allocations_left;

static void *fails(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

Test(meet, survives_every_failed_allocation_of_its_own)
{
    cs_err err = CS_ENOMEM;
    int n = 0;

    for (; err != CS_OK && n < 100; n++) {
        cr_assert_eq(up(), CS_OK);
        rendezvous__alloc = fails;
        allocations_left = n;
        err = pair();
        rendezvous__alloc = malloc;
        down();
    }
    cr_assert(n > 20 && n < 100, "%d", n);
}
