/* follow -- `chanserv post --follow`: how far we have read each file of the kind "tail", and the
 * body that asks for what comes behind (tail_place.h). */
#ifndef TOOLS_FOLLOW_H
#define TOOLS_FOLLOW_H

#include "tools/tail_place.h"
#include "chanserv/chanserv.h"

struct follow {
    void *places; /* by header */
    char *body;   /* the last one */
};

/* `body` with "mark=1" and where to go on; valid until the next.  CS_ENOMEM. */
cs_err follow_body(struct follow *f, cs_bytes body, cs_bytes *ret);

/* CS_OK: a line, now passed; CS_DONE: a mark, and none of the user's business; CS_EDATALOSS: a mark,
 * but what was read before is not there any more, and this is the beginning of what is; CS_ENOMEM;
 * CS_ENOTSUP: no mark came before the first line, so this is no service of that kind. */
cs_err follow_take(struct follow *f, const chanserv_source *source, cs_bytes frame);

/* Does it end what goes on in another post? */
bool follow_goes_on(cs_err why);

void follow_free(struct follow *f);

#endif
