/* hall -- parties come, wait, form groups, and go. */
#include "services/rendezvous/hall__in.h"

#include <stdlib.h>

/* ---- In and out of an event ----------------------------------------------------------------- */

static struct rendezvous__party *sleeper(struct cs_link *link)
{
    return CS_CONTAINER(link, struct rendezvous__party, link_sleep);
}

/* Sleepers are sorted.  Most want as many as the one before them, so it is looked for from the end. */
static void sleep_on(struct rendezvous__party *party)
{
    struct cs_link *at = &party->at->sleepers.head;

    while (at->prev != &party->at->sleepers.head && sleeper(at->prev)->mates > party->mates)
        at = at->prev;
    cs_link_between(&party->link_sleep, at->prev, at);
}

/* Who wants more mates than there are sleeps, and is not looked at. */
static void take_in(struct rendezvous__party *party)
{
    struct rendezvous__event *event = party->at;
    struct cs_link *modest;

    event->waiting++;
    event->version++;
    sleep_on(party);
    while ((modest = cs_list_first(&event->sleepers)) &&
           (size_t)sleeper(modest)->mates < event->waiting) {
        cs_unlink(modest);
        rendezvous__index_show(sleeper(modest));
    }
}

static void take_out(struct rendezvous__party *party)
{
    party->at->waiting--;
    party->at->version++;
    cs_unlink(&party->link_sleep);
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

    if (!cs_linked(&party->link_sleep) && rendezvous__search(hall, party, &mates))
        form(hall, party, mates);
}

/* ---- From outside --------------------------------------------------------------------------- */

void rendezvous__hall_init(struct rendezvous__hall *hall,
                           void (*formed)(struct rendezvous__group *group, void *user), void *user)
{
    *hall = (struct rendezvous__hall){.formed = formed, .user = user, .bytes_max = SIZE_MAX};
    cs_list_init(&hall->all);
}

void rendezvous__hall_fini(struct rendezvous__hall *hall)
{
    free(hall->found);
    hall->found = NULL;
}

/* Room for all who are in to be found at once. */
static bool reserve(struct rendezvous__hall *hall)
{
    const size_t cap = hall->found_cap > 0 ? 2 * hall->found_cap : 16;
    struct rendezvous__party **more;

    if (hall->len < hall->found_cap)
        return true;
    if (!(more = rendezvous__alloc(cap * sizeof(struct rendezvous__party *))))
        return false;
    free(hall->found); /* it has something only during a search */
    hall->found = more;
    hall->found_cap = cap;
    return true;
}

cs_err rendezvous__enter(struct rendezvous__hall *hall, struct rendezvous__party *party)
{
    struct rendezvous__event *event = rendezvous__event_of(hall, party->event);

    if (!event)
        return CS_ENOMEM;
    party->at = event;
    party->group = NULL;
    cs_link_init(&party->link_sleep);
    party->chosen = 0;
    cs_link_init(&party->link_group);
    if (!reserve(hall) || rendezvous__index_add(party) != CS_OK) {
        rendezvous__event_drop(hall, event);
        return CS_ENOMEM;
    }
    if (hall->bytes > hall->bytes_max) {
        rendezvous__index_drop(party);
        rendezvous__event_drop(hall, event);
        return CS_ELIMIT;
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
    there = cs_linked(&party->link_sleep) ? (int64_t)party->at->waiting - 1
                                          : (int64_t)rendezvous__search_accepted(hall, party);
    missing = party->mates - there;
    return missing > 1 ? missing : 1; /* else they do not accept each other */
}

uint64_t rendezvous__version(const struct rendezvous__party *party)
{
    return party->at->version;
}
