/* naive -- who has to meet whom, by trying every subset: the specification that the hall is held to.
 * Parties are numbered by bits of a set; of each are read what it says and accepts, and its age (`number`). */
#ifndef TEST_SERVICES_NAIVE_H
#define TEST_SERVICES_NAIVE_H

#include "services/rendezvous/hall.h"

/* Do all of them accept each other, both ways, and are as many as wanted? */
bool naive_is_group(struct rendezvous__party *const *all, unsigned set);
/* The group that has to form when `newest` comes to those of `waiting`; 0: none. */
unsigned naive_group(struct rendezvous__party *const *all, unsigned waiting, unsigned newest);
/* A group among them, whichever: then somebody of `waiting` starves; 0: none. */
unsigned naive_starving(struct rendezvous__party *const *all, unsigned waiting);

/* What parties of random stories say; NULL: the standard. */
enum { NAIVE_SELECTORS = 15, NAIVE_LABELS = 9 };
extern const char *const naive_selectors[NAIVE_SELECTORS], *const naive_labels[NAIVE_LABELS];
extern unsigned naive_seed;
unsigned naive_below(unsigned n); /* at random */

/* Each order in which `parties` come, and then go, each once: events[i] is a party that comes or, if it is
 * there, goes.  Calls `story` with each, numbered from 0. */
void naive_orders(unsigned parties,
                  void (*story)(const unsigned *events, unsigned len, unsigned at));

#endif
