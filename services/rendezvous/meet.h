/* meet -- what meet.c, match.c and http.c share: a client's end.  Private to rendezvous/. */
#ifndef RENDEZVOUS_MEET_H
#define RENDEZVOUS_MEET_H

#include "services/rendezvous/rendezvous.h"

/* rendezvous_come() with the body of the post as it is; of `ask` only `service`, `channels` and `post`. */
cs_err rendezvous__come(chanserv_client *client, const struct rendezvous_ask *ask, cs_bytes body,
                        const struct rendezvous_meeting_ops *ops, void *user,
                        rendezvous_meeting **ret);

struct rendezvous__match {
    struct rendezvous_party *parties;
    size_t len;
    char *texts; /* what they point into */
};

/* CS_EPROTO, CS_ENOMEM: `*ret` is empty. */
cs_err rendezvous__match_read(cs_bytes json, struct rendezvous__match *ret);
void rendezvous__match_fini(struct rendezvous__match *match);

#endif
