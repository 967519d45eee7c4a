/* Rendezvous as a service: posts on a virtual loop, all of it by the public calls. */
#include "chanserv/chanserv.h"
#include "services/rendezvous/labels.h"
#include "services/rendezvous/rendezvous.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { GUESTS = 8, TEXT = 4096 };

struct guest {
    chanserv_feed *feed;
    chanserv_source *meeting;
    char said[TEXT]; /* the frame that came last */
    int frames;
    cs_err why; /* of the meeting; CS_AGAIN: it runs */
};

static struct {
    cs_loop *loop;
    chanserv_server *server;
    rendezvous *desk;
    chanserv_client *client;
    struct guest guests[GUESTS];
} hall;

static void begin_with(const struct rendezvous_options *options)
{
    memset(&hall, 0, sizeof hall);
    cr_assert_eq(cs_loop_new_virtual(&hall.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(hall.loop, NULL, &hall.server), CS_OK);
    cr_assert_eq(rendezvous_new(hall.server, options, &hall.desk), CS_OK);
    cr_assert_eq(chanserv_client_new(hall.loop, NULL, &hall.client), CS_OK);
    cr_assert_eq(chanserv_join_local(hall.client, hall.server), CS_OK);
}

static void begin(void)
{
    begin_with(NULL);
}

static void leave(int i)
{
    struct guest *guest = &hall.guests[i];

    if (guest->feed)
        chanserv_feed_close(guest->feed);
    *guest = (struct guest){.feed = NULL};
    cs_loop_settle(hall.loop);
}

static struct rendezvous_counters counters(void)
{
    struct rendezvous_counters all;

    rendezvous_count(hall.desk, &all);
    return all;
}

/* Who has gone, and what was kept by his key, takes no memory. */
static void end(void)
{
    for (int i = 0; i < GUESTS; i++)
        leave(i);
    cs_loop_advance(hall.loop, hall.desk ? 10000 : 0);
    cr_assert(!hall.desk || counters().waiting_bytes == 0, "%zu", (size_t)counters().waiting_bytes);
    chanserv_client_free(hall.client);
    rendezvous_free(hall.desk);
    chanserv_server_free(hall.server);
    cs_loop_free(hall.loop);
}

static void hear(struct guest *guest)
{
    cs_bytes frame;
    cs_err err;

    if (guest->feed && !guest->meeting && chanserv_feed_recv(guest->feed, &guest->meeting) == CS_OK)
        cr_assert_eq(chanserv_source_open(guest->meeting, 0), CS_OK);
    cs_loop_settle(hall.loop);
    if (!guest->meeting || guest->why != CS_AGAIN)
        return;
    while ((err = chanserv_source_recv(guest->meeting, &frame)) == CS_OK) {
        snprintf(guest->said, sizeof guest->said, "%.*s", CS_FMT(frame));
        guest->frames++;
    }
    guest->why = err;
}

static void turn(void)
{
    for (int round = 0; round < 3; round++) {
        cs_loop_settle(hall.loop);
        for (int i = 0; i < GUESTS; i++)
            hear(&hall.guests[i]);
    }
}

static void come(int i, const char *body)
{
    struct guest *guest = &hall.guests[i];

    *guest = (struct guest){.why = CS_AGAIN};
    cr_assert_eq(
        chanserv_lookup_and_post(hall.client, "rendezvous", cs_str(body), NULL, &guest->feed),
        CS_OK);
    turn();
}

static bool has_met(int i)
{
    return hall.guests[i].why == CS_DONE;
}

/* What the post of this guest failed with. */
static const char *failure(int i, cs_err why)
{
    cr_assert_eq(chanserv_feed_status(hall.guests[i].feed), why, "%s",
                 chanserv_feed_errmsg(hall.guests[i].feed));
    return chanserv_feed_errmsg(hall.guests[i].feed);
}

/* ---- The original's tests ------------------------------------------------------------------- */

Test(rendezvous, a_pair_meets)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"payload\":\"pa\"}");
    cr_assert_not(has_met(0));
    cr_assert_eq(counters().waiting, 1);
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"payload\":\"p\\u00e4\\\"\"}");
    cr_assert(has_met(0) && has_met(1));
    cr_assert_str_eq(hall.guests[0].said, "{\"payloads\":{\"a\":\"pa\",\"b\":\"p\xc3\xa4\\\"\"}}");
    cr_assert_str_eq(hall.guests[1].said, hall.guests[0].said);
    cr_assert_eq(counters().waiting, 0);
    cr_assert_eq(counters().matched, 2);
    end();
}

Test(rendezvous, three_meet_and_keys_are_sorted)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"c\",\"mates\":2,\"payload\":\"3\"}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"mates\":\"2\",\"payload\":\"2\"}");
    cr_assert_not(has_met(0));
    come(2, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":2,\"payload\":\"1\"}");
    for (int i = 0; i < 3; i++)
        cr_assert_str_eq(hall.guests[i].said,
                         "{\"payloads\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}");
    end();
}

Test(rendezvous, the_same_actor_does_not_meet_itself)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\"}");
    come(1, "{\"event\":\"e\",\"actor\":\"a\"}");
    cr_assert(!has_met(0) && !has_met(1));
    cr_assert_eq(counters().waiting, 2);
    end();
}

Test(rendezvous, selectors_hold_both_ways)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"selector\":\"x=1\"}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"labels\":\"x=2\"}");
    cr_assert(!has_met(0) && !has_met(1));
    come(2, "{\"event\":\"e\",\"actor\":\"c\",\"labels\":\"x=1\",\"selector\":\"!x\"}");
    cr_assert(has_met(0) && !has_met(1) && has_met(2));
    end();
}

Test(rendezvous, events_and_generations_are_apart)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"generation\":\"1\"}");
    come(1, "{\"event\":\"f\",\"actor\":\"b\",\"generation\":\"1\"}");
    come(2, "{\"event\":\"e\",\"actor\":\"c\",\"generation\":\"2\"}");
    cr_assert_eq(counters().waiting, 3);
    come(3, "{\"event\":\"e\",\"actor\":\"d\",\"generation\":\"2\"}");
    cr_assert(has_met(2) && has_met(3) && !has_met(0));
    end();
}

/* ---- Its faults, and what others had -------------------------------------------------------- */

Test(rendezvous, who_leaves_frees_his_place_at_once)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\"}");
    leave(0);
    cr_assert_eq(counters().waiting, 0);
    cr_assert_eq(counters().left, 1);
    come(1, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert_not(has_met(1), "a stale partner is none");
    end();
}

/* In one turn two have become a group, and one of them has gone. */
Test(rendezvous, who_vanished_before_release_was_not_there)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\"}");
    chanserv_feed_close(hall.guests[0].feed);
    hall.guests[0] = (struct guest){.feed = NULL};
    come(1, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert_not(has_met(1));
    come(2, "{\"event\":\"e\",\"actor\":\"c\"}");
    cr_assert(has_met(1) && has_met(2));
    cr_assert_eq(counters().groups, 1);
    end();
}

Test(rendezvous, an_unread_match_stops_nobody)
{
    begin();
    cr_assert_eq(chanserv_lookup_and_post(hall.client, "rendezvous",
                                          cs_str("{\"event\":\"e\",\"actor\":\"a\"}"), NULL,
                                          &hall.guests[0].feed),
                 CS_OK);
    cs_loop_settle(hall.loop); /* he never reads */
    come(1, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert(has_met(1));
    for (int i = 0; i < 20; i++) {
        come(2, "{\"event\":\"e\",\"actor\":\"c\"}");
        come(3, "{\"event\":\"e\",\"actor\":\"d\"}");
        cr_assert(has_met(2) && has_met(3));
        leave(2);
        leave(3);
    }
    end();
}

Test(rendezvous, who_comes_too_late_is_told_who_was_there)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":3,\"timeout\":5000}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"mates\":3}");
    cs_loop_advance(hall.loop, 4999);
    turn();
    cr_assert_eq(hall.guests[0].why, CS_AGAIN);
    cs_loop_advance(hall.loop, 1);
    turn();
    cr_assert_eq(hall.guests[0].why, CS_ETIMEOUT);
    cr_assert(strstr(failure(0, CS_ETIMEOUT), "nobody met a in 5000 ms; missing: 2; here: a, b"),
              "%s", failure(0, CS_ETIMEOUT));
    cr_assert_eq(counters().waiting, 1, "he is not counted any more");
    come(2, "{\"event\":\"e\",\"actor\":\"c\",\"mates\":3}");
    come(3, "{\"event\":\"e\",\"actor\":\"d\",\"mates\":3}");
    cr_assert_not(has_met(1), "three are not four");
    come(4, "{\"event\":\"e\",\"actor\":\"e\",\"mates\":3}");
    cr_assert(has_met(1) && has_met(2) && has_met(3) && has_met(4));
    end();
}

Test(rendezvous, errors_name_the_parameter)
{
    static const char *const rows[][2] = {
        {"{\"actor\":\"a\"}", "event: it is required"},
        {"{\"event\":\"e\"}", "actor: it is required"},
        {"{\"event\":\"e\",\"actor\":\"\"}", "actor: it is required"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"mates\":-1}", "mates: an integer from 0 to 1000000"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"mates\":\"x\"}", "mates: an integer"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"mates\":true}", "mates: an integer"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"timeout\":1.5}", "JSON, column 37: expected"},
        {"{\"event\":1}", "event: a string is wanted"},
        {"{\"event\":\"e\\u0000x\",\"actor\":\"a\"}", "event: a zero byte is within"},
        {"{\"actor\":\"\\u0000\",\"event\":\"e\"}", "actor: a zero byte is within"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"generation\":\"x\\u0000\"}", "generation: a zero"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"key\":\"x\\u0000\"}", "key: a zero byte"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"labels\":\"x\"}", "labels: column 1: \"x\" is not"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"selector\":\"x=\\n(\"}", "selector: column 4: found"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"form\":\"tree\"}", "form: \"map\" or \"list\""},
        {"{\"event\":\"e\",\"actor\":\"a\",\"roster\":\"yes\"}", "roster: true or false"},
        {"{\"event\":\"e\",\"actor\":\"a\",\"colour\":\"red\"}", "colour: there is no such"},
        {"{\"event\":\"e\",\"payload\":\"1\",\"payload\":\"2\"}", "payload: it is there twice"},
        {"", "JSON, column 1: expected an object"},
        {"{\"event\":\"e\",\"actor\":\"a\"", "JSON, column 25: expected \",\" or"},
        {"{\"event\":\"e\",\"actor\":\"a\"}x", "JSON, column 26: something stands behind"},
        {"{\"event\":\"\\ud800\"}", "JSON, column 17: no character"},
        {"{\"event\":\"\xff\"}", "JSON, column 11: no character"},
        {"{\"event\":\"e", "JSON, column 12: the string does not end"},
    };

    begin();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        come(0, rows[i][0]);
        cr_assert(strstr(failure(0, CS_EINVAL), rows[i][1]), "%s: %s", rows[i][0],
                  failure(0, CS_EINVAL));
        leave(0);
    }
    cr_assert_eq(counters().refused_bad, sizeof rows / sizeof *rows);
    end();
}

Test(rendezvous, so_many_wait_and_a_payload_is_so_long)
{
    char body[256];

    begin_with(&(struct rendezvous_options){.waiters_max = 2, .payload_max_bytes = 10});
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":9}");
    come(1, "{\"event\":\"f\",\"actor\":\"a\",\"mates\":9}");
    come(2, "{\"event\":\"g\",\"actor\":\"a\",\"mates\":9}");
    cr_assert(strstr(failure(2, CS_ELIMIT), "2 wait already"), "%s", failure(2, CS_ELIMIT));
    cr_assert_eq(counters().refused_limit, 1);
    snprintf(body, sizeof body, "{\"event\":\"e\",\"actor\":\"b\",\"payload\":\"%s\"}",
             "01234567890");
    come(3, body);
    cr_assert(strstr(failure(3, CS_EINVAL), "payload: 11 bytes, and 10 are allowed"), "%s",
              failure(3, CS_EINVAL));
    end();
}

/* Who was late and has a key has a place for key_ms: they are not more than twice as many. */
Test(rendezvous, so_many_places_are_kept)
{
    char body[128];

    begin_with(&(struct rendezvous_options){.waiters_max = 2});
    for (int i = 0; i < 4; i++) {
        snprintf(body, sizeof body,
                 "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"%d\",\"timeout\":1}", i);
        come(0, body);
        cs_loop_advance(hall.loop, 1);
        leave(0);
    }
    cr_assert_eq(counters().waiting, 0);
    come(1, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert(strstr(failure(1, CS_ELIMIT), "twice as many places are kept"));
    cr_assert_eq(counters().refused_limit, 1);
    leave(1);
    cs_loop_advance(hall.loop, 10000);
    come(1, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert_eq(counters().waiting, 1);
    end();
}

/* "1=,2=,3=,...": so many labels of a few bytes each. */
static char *ask_with_labels(const char *event, int labels, const char *more)
{
    char *body;
    size_t len;
    FILE *to = open_memstream(&body, &len);

    fprintf(to, "{\"event\":\"%s\",\"actor\":\"a\",\"roster\":false,\"labels\":\"", event);
    for (int i = 0; i < labels; i++)
        fprintf(to, "%s%d=", i > 0 ? "," : "", i);
    fprintf(to, "\",\"selector\":\"x=1\"%s}", more);
    fclose(to);
    return body;
}

Test(rendezvous, who_waits_takes_so_much_memory)
{
    char *e = ask_with_labels("e", 300, ""), *f = ask_with_labels("f", 300, "");

    begin_with(&(struct rendezvous_options){.waiting_max_bytes = 200000});
    come(0, e);
    cr_assert_eq(counters().waiting, 1);
    const size_t taken = counters().waiting_bytes;
    cr_assert_gt(taken, 50 * strlen(e), "%zu", taken);
    come(1, f);
    cr_assert(strstr(failure(1, CS_ELIMIT), "would take more than 200000 bytes of memory"), "%s",
              failure(1, CS_ELIMIT));
    cr_assert_eq(counters().refused_bytes, 1);
    cr_assert_eq(counters().refused_limit, 0);
    cr_assert_eq(counters().waiting_bytes, taken, "of who was refused nothing is left");
    leave(1);
    come(2, "{\"event\":\"f\",\"actor\":\"a\"}");
    cr_assert_eq(counters().waiting, 2, "there is room for who asks little");
    leave(0);
    come(1, f);
    cr_assert_eq(counters().waiting, 2);
    end();
    free(e);
    free(f);
}

Test(rendezvous, what_waiting_takes_can_be_without_a_limit)
{
    char body[64];

    begin_with(&(struct rendezvous_options){.waiting_max_bytes = CS_OFF});
    for (int i = 0; i < GUESTS; i++) {
        snprintf(body, sizeof body, "{\"event\":\"%d\",\"actor\":\"a\"}", i);
        come(i, body);
    }
    cr_assert_eq(counters().waiting, GUESTS);
    end();
}

/* Payloads are counted once while they wait, and their match until all have heard it. */
Test(rendezvous, a_match_takes_memory_until_it_was_heard)
{
    enum { PAYLOAD = 30000 };
    char *body = malloc(PAYLOAD + 200);

    begin();
    for (int i = 0; i < 2; i++) {
        int n = sprintf(body, "{\"event\":\"e\",\"actor\":\"%d\",\"key\":\"k\",\"payload\":\"", i);
        memset(body + n, 'x', PAYLOAD);
        strcpy(body + n + PAYLOAD, "\"}");
        come(i, body);
        if (i == 0)
            cr_assert_leq(counters().waiting_bytes, PAYLOAD + 3000);
    }
    cr_assert(has_met(0) && has_met(1));
    leave(0);
    leave(1);
    cr_assert_geq(counters().waiting_bytes, 4 * PAYLOAD);
    cr_assert_leq(counters().waiting_bytes, 4 * PAYLOAD + 3000);
    end();
    free(body);
}

Test(rendezvous, who_waits_when_the_service_ends_is_told)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\"}");
    come(1, "{\"event\":\"f\",\"actor\":\"b\",\"key\":\"k\"}");
    rendezvous_free(hall.desk);
    hall.desk = NULL;
    turn();
    cr_assert(strstr(failure(0, CS_EUNAVAIL), "the service ends"));
    cr_assert(strstr(failure(1, CS_EUNAVAIL), "the service ends"));
    end();
}

/* ---- Without memory ------------------------------------------------------------------------- */

static int allocations_left;

static void *fails(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static size_t asked_for;

static void *counts(size_t size)
{
    asked_for += size;
    return malloc(size);
}

/* No block of the room is forgotten: the body as it came is all that does not stay. */
Test(rendezvous, all_that_is_allocated_is_counted)
{
    char *one = ask_with_labels("e", 20, ",\"key\":\"k\""), *two = ask_with_labels("f", 300, "");

    begin();
    come(0, "{\"event\":\"d\",\"actor\":\"a\"}");
    const size_t before = counters().waiting_bytes;
    rendezvous__alloc = counts;
    come(1, one);
    come(2, two);
    rendezvous__alloc = malloc;
    const size_t counted = counters().waiting_bytes - before,
                 kept = asked_for - strlen(one) - strlen(two) - 2;
    cr_assert_geq(counted, kept);
    cr_assert_leq(counted, kept * 3 / 2, "%zu of %zu", counted, kept);
    end();
    free(one);
    free(two);
}

/* Blanks and escapes do not stay. */
Test(rendezvous, a_body_of_blanks_takes_nothing)
{
    enum { BLANKS = 100000 };
    char *body = malloc(BLANKS + 64);

    begin();
    memset(body, ' ', BLANKS);
    strcpy(body + BLANKS, "{\"event\":\"e\",\"actor\":\"\\u0061\"}");
    come(0, body);
    cr_assert_eq(counters().waiting, 1);
    cr_assert_lt(counters().waiting_bytes, 3000);
    end();
    free(body);
}

Test(rendezvous, without_memory_nobody_is_half_there)
{
    int n = 0;

    begin();
    do {
        rendezvous__alloc = fails;
        allocations_left = n++;
        come(0, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"labels\":\"x=1\",\"selector\":"
                "\"y\"}");
        rendezvous__alloc = malloc;
        if (counters().waiting == 0)
            failure(0, CS_ELIMIT);
        else
            break;
        leave(0);
    } while (n < 100);
    cr_assert_gt(n, 8);
    leave(0);
    cs_loop_advance(hall.loop, 10000);
    cr_assert_eq(counters().waiting, 0);
    for (n = 0; n < 20; n++) { /* who came first meets nobody by a match that cannot be told */
        come(1, "{\"event\":\"e\",\"actor\":\"a\"}");
        rendezvous__alloc = fails;
        allocations_left = n;
        come(2, "{\"event\":\"e\",\"actor\":\"b\"}");
        rendezvous__alloc = malloc;
        cr_assert_eq(has_met(1), has_met(2), "all or none: %d", n);
        cr_assert(n < 19 || has_met(1), "with all of it they meet");
        leave(1);
        leave(2);
        cr_assert_eq(counters().waiting, 0);
    }
    end();
}

/* ---- Lists, retries, rosters, channels ------------------------------------------------------ */

Test(rendezvous, a_list_has_all_also_of_one_actor)
{
    begin();
    come(0,
         "{\"event\":\"e\",\"actor\":\"a\",\"payload\":\"1\",\"labels\":\"x=1\",\"selector\":\"x\","
         "\"form\":\"list\"}");
    come(1,
         "{\"event\":\"e\",\"actor\":\"a\",\"payload\":\"2\",\"labels\":\"x=2\",\"selector\":\"x\","
         "\"form\":\"list\"}");
    cr_assert_str_eq(hall.guests[1].said,
                     "{\"parties\":[{\"actor\":\"a\",\"payload\":\"1\",\"labels\":{\"x\":\"1\"}},"
                     "{\"actor\":\"a\",\"payload\":\"2\",\"labels\":{\"x\":\"2\"}}]}");
    end();
}

Test(rendezvous, a_retry_goes_on_in_its_place)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"pa\"}");
    leave(0);
    cr_assert_eq(counters().waiting, 1, "his place is kept");
    come(1, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"pa\"}");
    cr_assert_eq(counters().waiting, 1);
    cr_assert_eq(counters().resumed, 1);
    come(2, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"other\"}");
    cr_assert(
        strstr(failure(2, CS_EPRECOND), "key: it was used for a request that says something else"),
        "%s", failure(2, CS_EPRECOND));
    come(3, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"pa\"}");
    cr_assert(strstr(failure(1, CS_EABORTED), "another request with this key goes on"), "%s",
              failure(1, CS_EABORTED));
    leave(3);
    come(4, "{\"event\":\"e\",\"actor\":\"b\"}");
    cr_assert(has_met(4), "he counts while his place is kept");
    come(5, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"pa\"}");
    cr_assert(has_met(5), "and hears how it ended");
    cr_assert_str_eq(hall.guests[5].said, hall.guests[4].said);
    leave(5);
    cs_loop_advance(hall.loop, 10000);
    come(6, "{\"event\":\"e\",\"actor\":\"a\",\"key\":\"k\",\"payload\":\"pa\"}");
    cr_assert_not(has_met(6), "after key_ms it is a new one");
    leave(6);
    cs_loop_advance(hall.loop, 10000);
    turn();
    cr_assert_eq(counters().waiting, 0);
    end();
}

Test(rendezvous, a_roster_says_who_is_there_and_who_is_missing)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":3}");
    cr_assert_str_eq(hall.guests[0].said, "{\"waiting\":{\"here\":[\"a\"],\"missing\":3}}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"mates\":3,\"roster\":false}");
    for (int i = 0; i < 100; i++) {
        come(2, "{\"event\":\"e\",\"actor\":\"c\",\"mates\":3}");
        leave(2);
    }
    cs_loop_advance(hall.loop, 101);
    turn();
    cr_assert_str_eq(hall.guests[0].said, "{\"waiting\":{\"here\":[\"a\",\"b\"],\"missing\":2}}");
    cr_assert_leq(hall.guests[0].frames, 3, "only the newest: %d", hall.guests[0].frames);
    cr_assert_eq(hall.guests[1].frames, 0);
    leave(1);
    cs_loop_advance(hall.loop, 101);
    turn();
    cr_assert_str_eq(hall.guests[0].said, "{\"waiting\":{\"here\":[\"a\"],\"missing\":3}}");
    end();
}

Test(rendezvous, a_roster_leaves_out_who_was_too_late_or_does_not_come_back)
{
    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":3}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"mates\":3,\"timeout\":1000}");
    come(2, "{\"event\":\"e\",\"actor\":\"c\",\"mates\":3,\"key\":\"k\"}");
    leave(2);
    cs_loop_advance(hall.loop, 999);
    turn();
    cr_assert_str_eq(hall.guests[0].said,
                     "{\"waiting\":{\"here\":[\"a\",\"b\",\"c\"],\"missing\":1}}");
    cs_loop_advance(hall.loop, 102);
    turn();
    cr_assert_str_eq(hall.guests[0].said, "{\"waiting\":{\"here\":[\"a\",\"c\"],\"missing\":2}}",
                     "b was too late");
    cs_loop_advance(hall.loop, 9000);
    turn();
    cr_assert_str_eq(hall.guests[0].said, "{\"waiting\":{\"here\":[\"a\"],\"missing\":3}}",
                     "the place of c was kept for ten seconds");
    end();
}

Test(rendezvous, a_group_that_met_can_talk)
{
    chanserv_source *to_b, *to_a;
    cs_bytes frame;

    begin();
    come(0, "{\"event\":\"e\",\"actor\":\"a\",\"channels\":true}");
    come(1, "{\"event\":\"e\",\"actor\":\"b\",\"channels\":true}");
    cr_assert(has_met(0) && has_met(1));
    cr_assert_eq(chanserv_feed_recv(hall.guests[0].feed, &to_b), CS_OK);
    cr_assert_eq(chanserv_feed_recv(hall.guests[1].feed, &to_a), CS_OK);
    cr_assert(cs_same(chanserv_source_header(to_b), cs_str("b")));
    cr_assert(cs_same(chanserv_source_header(to_a), cs_str("a")));
    cr_assert_eq(chanserv_source_open(to_b, 0), CS_OK);
    cr_assert_eq(chanserv_source_open(to_a, 0), CS_OK);
    cs_loop_settle(hall.loop);
    cr_assert_eq(chanserv_source_send(to_b, cs_str("hello"), CS_NOW), CS_OK);
    cs_loop_settle(hall.loop);
    cr_assert_eq(chanserv_source_recv(to_a, &frame), CS_OK);
    cr_assert(cs_same(frame, cs_str("hello")));
    chanserv_source_finish(to_b);
    cs_loop_settle(hall.loop);
    cr_assert_eq(chanserv_source_recv(to_a, &frame), CS_AGAIN, "his own word is not his last");
    cr_assert_eq(chanserv_source_send(to_a, cs_str("bye"), CS_NOW), CS_OK);
    chanserv_source_finish(to_a);
    cs_loop_settle(hall.loop);
    cr_assert_eq(chanserv_source_recv(to_b, &frame), CS_OK);
    cr_assert_eq(chanserv_source_recv(to_b, &frame), CS_DONE);
    cr_assert_eq(chanserv_source_recv(to_a, &frame), CS_DONE);
    end();
}
