/* weigh -- what places take of memory: those who wait, and those who are still told how it ended.
 *
 * Counted are the blocks of the room itself, by what they cost and not by what is in them: of short labels
 * eighty times as much, and bodies of those who wait by HTTP.  A post, and what its connection has, are
 * bounded where they are. */
#include "services/rendezvous/desk.h"

#include <stdlib.h>

void rendezvous__place_weigh(struct rendezvous__place *place)
{
    const struct rendezvous__sitter *sitter = place->sitter;
    size_t bytes = rendezvous__cost(sizeof *place) + rendezvous__cost(place->names_len);

    bytes += place->ask.bytes + place->party.labels.bytes + place->party.selector.bytes;
    bytes += place->is_keyed ? RENDEZVOUS__NODE : 0;
    bytes += place->words ? rendezvous__cost(strlen(place->words) + 1) : 0;
    bytes += sitter ? sitter->roster_bytes : 0;
    place->desk->hall.bytes += bytes - place->bytes;
    place->bytes = bytes;
}

/* ---- What a group is told ----------------------------------------------------------------------- */

static size_t cost_of(const struct rendezvous__told *told)
{
    return rendezvous__cost(sizeof *told) + rendezvous__cost(told->len + 1);
}

struct rendezvous__told *rendezvous__told_new(rendezvous *desk, char *text)
{
    struct rendezvous__told *told = text ? rendezvous__alloc(sizeof *told) : NULL;

    if (!told) {
        free(text);
        return NULL;
    }
    *told = (struct rendezvous__told){.text = text, .len = strlen(text), .users = 1};
    desk->hall.bytes += cost_of(told);
    return told;
}

struct rendezvous__told *rendezvous__told_share(struct rendezvous__told *told)
{
    told->users++;
    return told;
}

void rendezvous__told_drop(rendezvous *desk, struct rendezvous__told *told)
{
    if (!told || --told->users > 0)
        return;
    desk->hall.bytes -= cost_of(told);
    free(told->text);
    free(told);
}
