/* The registry itself: what is remembered of the dead, and for how long. */
#include "chanserv/server__in.h"
#include "raw.h"

#include "test/support/failing.h"

static cs_err never(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops ops = {.next = never};

static void up(void)
{
    raw_up(NULL);
}

TestSuite(ticket, .init = up, .fini = raw_down);

struct made {
    struct chanserv_post post;
    struct chanserv_outlet outlet;
};

static void make(struct made *m)
{
    memset(m, 0, sizeof *m);
    m->post.server = raw.server;
    m->outlet.post = &m->post;
    m->outlet.ops = &ops;
    cr_assert_eq(chanserv__ticket_issue(raw.server, &m->outlet), CS_OK);
}

static enum wire_reason why_not(const uint8_t *ticket)
{
    enum wire_reason why = WIRE_NO_REASON;
    cs_err err;

    cr_assert_null(chanserv__ticket_find(raw.server, cs_bytes_of(ticket, 32), &why, &err));
    return why;
}

Test(ticket, finds_its_outlet_and_no_other)
{
    struct made a, b;
    uint8_t ta[32], tb[32];
    enum wire_reason why;
    cs_err err;

    make(&a);
    make(&b);
    chanserv__ticket_put(&a.outlet, ta);
    chanserv__ticket_put(&b.outlet, tb);
    cr_assert_eq(chanserv__ticket_find(raw.server, cs_bytes_of(ta, 32), &why, &err), &a.outlet);
    cr_assert_eq(chanserv__ticket_find(raw.server, cs_bytes_of(tb, 32), &why, &err), &b.outlet);
    memcpy(ta + 16, tb + 16, 16);
    cr_assert_eq(why_not(ta), WIRE_R_UNKNOWN_TICKET);
    chanserv__ticket_die(raw.server, &a.outlet, CS_EEXPIRED);
    chanserv__ticket_die(raw.server, &b.outlet, CS_ECLAIMED);
    cr_assert_eq(why_not(ta), WIRE_R_EXPIRED);
    cr_assert_eq(why_not(tb), WIRE_R_CLAIMED);
}

Test(ticket, the_last_65536_dead_are_remembered)
{
    static uint8_t first[32], second[32], last[32];
    struct made m;

    for (int i = 0; i < CHANSERV__DEAD_MAX + 1; i++) {
        make(&m);
        chanserv__ticket_put(&m.outlet, i == 0 ? first : i == 1 ? second : last);
        chanserv__ticket_die(raw.server, &m.outlet, CS_EEXPIRED);
    }
    cr_assert_eq(why_not(first), WIRE_R_UNKNOWN_TICKET);
    cr_assert_eq(why_not(second), WIRE_R_EXPIRED);
    cr_assert_eq(why_not(last), WIRE_R_EXPIRED);
    make(&m);
    chanserv__ticket_die(raw.server, &m.outlet, CS_EEXPIRED);
    cr_assert_eq(why_not(second), WIRE_R_UNKNOWN_TICKET);
}

Test(ticket_memory, who_died_without_memory_is_remembered_too)
{
    static uint8_t all[80][32];
    struct made m;

    failing_count();
    raw_up(NULL);
    for (int i = 0; i < 80; i++) {
        make(&m);
        chanserv__ticket_put(&m.outlet, all[i]);
        failing_arm(1);
        chanserv__ticket_die(raw.server, &m.outlet, CS_EEXPIRED);
        failing_arm(0);
    }
    cr_assert_eq(why_not(all[0]), WIRE_R_UNKNOWN_TICKET);
    for (int i = 16; i < 80; i++)
        cr_assert_eq(why_not(all[i]), WIRE_R_EXPIRED, "%d", i);
    raw_down();
}

Test(ticket, secrets_differ)
{
    struct made a, b;

    make(&a);
    make(&b);
    cr_assert_neq(memcmp(a.outlet.secret, b.outlet.secret, 16), 0);
    chanserv__ticket_die(raw.server, &a.outlet, CS_EEXPIRED);
    chanserv__ticket_die(raw.server, &b.outlet, CS_EEXPIRED);
}

Test(ticket, an_outlet_is_small)
{
    cr_assert_leq(sizeof(struct chanserv_outlet), 176);
}

/* Places are given again, tickets are not. */
Test(ticket, of_ten_thousand_each_finds_its_own_and_what_they_took_is_given_back)
{
    enum { MANY = 10000 };
    static struct made all[MANY];
    static uint8_t tickets[MANY][32];
    enum wire_reason why;
    cs_err err;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            make(&all[i]);
            chanserv__ticket_put(&all[i].outlet, tickets[i]);
        }
        for (int i = 0; i < MANY; i += 2)
            chanserv__ticket_die(raw.server, &all[i].outlet, CS_ECLAIMED);
        for (int i = 0; i < MANY; i += 4) {
            cr_assert_eq(why_not(tickets[i]), WIRE_R_CLAIMED);
            make(&all[i]);
            cr_assert_eq(why_not(tickets[i]), WIRE_R_CLAIMED, "its place is another's");
            chanserv__ticket_put(&all[i].outlet, tickets[i]);
        }
        for (int i = 0; i < MANY; i++) {
            if (i % 4 == 2)
                continue;
            cr_assert_eq(chanserv__ticket_find(raw.server, cs_bytes_of(tickets[i], 32), &why, &err),
                         &all[i].outlet);
            chanserv__ticket_die(raw.server, &all[i].outlet, CS_ECLAIMED);
        }
        cr_assert_null(raw.server->tickets.places);
    }
}
