/* hall -- parties come, wait, form groups, and go. */
#include "services/rendezvous/hall__in.h"

#include <stdlib.h>

/* ---- Sleepers: a heap, so that the most modest wakes first ---------------------------------- */

static bool is_before(const struct rendezvous__party *a, const struct rendezvous__party *b)
{
    return a->mates != b->mates ? a->mates < b->mates : a->number < b->number;
}

static void put(struct rendezvous__event *event, size_t at, struct rendezvous__party *party)
{
    event->sleepers[at] = party;
    party->sleeps = at + 1;
}

/* There is a hole at `at`; `party` goes there, or where it has to. */
static void settle(struct rendezvous__event *event, size_t at, struct rendezvous__party *party)
{
    for (; at > 0 && is_before(party, event->sleepers[(at - 1) / 2]); at = (at - 1) / 2)
        put(event, at, event->sleepers[(at - 1) / 2]);
    for (size_t below; (below = 2 * at + 1) < event->sleepers_len; at = below) {
        if (below + 1 < event->sleepers_len &&
            is_before(event->sleepers[below + 1], event->sleepers[below]))
            below++;
        if (!is_before(event->sleepers[below], party))
            break;
        put(event, at, event->sleepers[below]);
    }
    put(event, at, party);
}

static void sleep_on(struct rendezvous__party *party)
{
    settle(party->at, party->at->sleepers_len++, party);
}

static void wake(struct rendezvous__party *party)
{
    struct rendezvous__event *event = party->at;
    struct rendezvous__party *last = event->sleepers[--event->sleepers_len];

    if (last != party)
        settle(event, party->sleeps - 1, last);
    party->sleeps = 0;
}

/* ---- In and out of an event ----------------------------------------------------------------- */

/* Who wants more mates than there are sleeps, and is not looked at. */
static void take_in(struct rendezvous__party *party)
{
    struct rendezvous__event *event = party->at;

    event->waiting++;
    event->version++;
    sleep_on(party);
    while (event->sleepers_len > 0 && (size_t)event->sleepers[0]->mates < event->waiting) {
        struct rendezvous__party *modest = event->sleepers[0];
        wake(modest);
        rendezvous__index_show(modest);
    }
}

static void take_out(struct rendezvous__party *party)
{
    party->at->waiting--;
    party->at->version++;
    if (party->sleeps > 0)
        wake(party);
    else
        rendezvous__index_hide(party);
}

static void form(struct rendezvous__hall *hall, struct rendezvous__party *party, size_t mates)
{
    struct rendezvous__group *group = &party->own;

    cs_list_init(&group->members);
    cs_link_init(&group->link);
    group->len = mates + 1;
    for (size_t i = 0; i <= mates; i++) {
        struct rendezvous__party *one = i < mates ? hall->found[i] : party;
        take_out(one);
        one->group = group;
        cs_unlink(&one->link_group);
        cs_list_push(&group->members, &one->link_group);
    }
    hall->formed(group, hall->user);
}

static void search(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    size_t mates;

    if (party->sleeps == 0 && rendezvous__search(hall, party, &mates))
        form(hall, party, mates);
}

/* ---- From outside --------------------------------------------------------------------------- */

void rendezvous__hall_init(struct rendezvous__hall *hall,
                           void (*formed)(struct rendezvous__group *group, void *user), void *user)
{
    *hall = (struct rendezvous__hall){.formed = formed, .user = user};
    cs_list_init(&hall->all);
}

void rendezvous__hall_fini(struct rendezvous__hall *hall)
{
    free(hall->found);
    hall->found = NULL;
}

/* Room for `len` of them in an array that doubles. */
static bool reserve(struct rendezvous__party ***all, size_t *cap, size_t len)
{
    size_t wanted = *cap > 0 ? *cap : 16;
    struct rendezvous__party **more;

    while (wanted < len)
        wanted *= 2;
    if (wanted == *cap)
        return true;
    if (!(more = rendezvous__alloc(wanted * sizeof(struct rendezvous__party *))))
        return false;
    if (*cap > 0)
        memcpy(more, *all, *cap * sizeof(struct rendezvous__party *));
    free(*all);
    *all = more;
    *cap = wanted;
    return true;
}

cs_err rendezvous__enter(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    struct rendezvous__event *event = rendezvous__event_of(hall, party->event);

    if (!event)
        return CS_ENOMEM;
    party->at = event;
    party->group = NULL;
    party->sleeps = 0;
    party->chosen = 0;
    cs_link_init(&party->link_group);
    if (!reserve(&hall->found, &hall->found_cap, hall->len + 1) ||
        !reserve(&event->sleepers, &event->sleepers_cap, event->users) ||
        rendezvous__index_add(party) != CS_OK) {
        rendezvous__event_drop(hall, event);
        return CS_ENOMEM;
    }
    party->number = ++hall->clock;
    hall->len++;
    cs_list_push(&hall->all, &party->link_all);
    take_in(party);
    search(hall, party);
    return CS_OK;
}

/* It is in no list of the event any more. */
static void go(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    rendezvous__index_drop(party);
    rendezvous__event_drop(hall, party->at);
    cs_unlink(&party->link_all);
    party->number = 0;
    hall->len--;
}

static void dissolve(struct rendezvous__hall *hall, struct rendezvous__group *group)
{
    struct cs_list again;
    struct cs_link *link;

    hall->dissolved++;
    cs_unlink(&group->link);
    cs_list_init(&again);
    cs_list_move(&again, &group->members);
    for (link = cs_list_first(&again); link; link = cs_list_next(&again, link)) {
        struct rendezvous__party *party = CS_CONTAINER(link, struct rendezvous__party, link_group);
        party->group = NULL;
        take_in(party);
    }
    while ((link = cs_list_pop(&again))) {
        struct rendezvous__party *party = CS_CONTAINER(link, struct rendezvous__party, link_group);
        if (!party->group)
            search(hall, party);
    }
}

void rendezvous__leave(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    struct rendezvous__group *group = party->group;

    if (party->number == 0)
        return;
    if (!group)
        take_out(party);
    else
        cs_unlink(&party->link_group);
    go(hall, party);
    if (group)
        dissolve(hall, group);
}

void rendezvous__release(struct rendezvous__hall *hall, struct rendezvous__group *group)
{
    for (struct cs_link *link = cs_list_first(&group->members); link;
         link = cs_list_next(&group->members, link))
        go(hall, CS_CONTAINER(link, struct rendezvous__party, link_group));
}

int64_t rendezvous__missing(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    int64_t there, missing;

    if (party->number == 0 || party->group)
        return 0;
    there = party->sleeps > 0 ? (int64_t)party->at->waiting - 1
                              : (int64_t)rendezvous__search_accepted(hall, party);
    missing = party->mates - there;
    return missing > 1 ? missing : 1; /* else they do not accept each other */
}

uint64_t rendezvous__version(const struct rendezvous__party *party)
{
    return party->at->version;
}
