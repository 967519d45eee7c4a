/* ask -- what a party asks for.  Private to rendezvous/. */
#ifndef RENDEZVOUS_ASK_H
#define RENDEZVOUS_ASK_H

#include "services/rendezvous/labels.h"

struct rendezvous__ask {
    cs_bytes event, actor, payload, labels, selector, key, generation; /* empty: as if not there */
    int64_t mates, timeout_ms;
    bool takes_twins, channels, roster;
    void *block;
    size_t bytes; /* what the block takes */
};

struct rendezvous__bounds {
    int64_t payload, text;
};

/* A JSON object of strings, integers and booleans.  CS_EINVAL: `why` names the member, CS_ENOMEM. */
cs_err rendezvous__ask_parse(cs_bytes json, const struct rendezvous__bounds *bounds,
                             struct rendezvous__ask *ret, char why[RENDEZVOUS__WHY]);
void rendezvous__ask_fini(struct rendezvous__ask *ask);
/* But for the key, and for how it is told. */
bool rendezvous__ask_same(const struct rendezvous__ask *a, const struct rendezvous__ask *b);

#endif
