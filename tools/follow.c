/* follow -- see follow.h. */
#include "tools/follow.h"

#include <search.h>
#include <stdlib.h>

static void write_place(const void *node, VISIT visit, void *user)
{
    struct tail_place *place = *(struct tail_place *const *)node;

    if ((visit != postorder && visit != leaf) || !place->known)
        return;
    place->asked = true;
    fputs("&at=", user);
    tail_place_write(place, user);
}

cs_err follow_body(struct follow *f, cs_bytes body, cs_bytes *ret)
{
    bool has_options = tail_options_at(body) < body.len;
    FILE *to;
    size_t len;

    free(f->body);
    f->body = NULL;
    to = open_memstream(&f->body, &len);
    if (!to)
        return CS_ENOMEM;
    if (body.len > 0)
        fwrite(body.base, 1, body.len, to);
    fputs(has_options ? "&mark=1" : "?mark=1", to);
    twalk_r(f->places, write_place, to);
    if (fclose(to) != 0)
        return CS_ENOMEM;
    *ret = cs_bytes_of(f->body, len);
    return CS_OK;
}

cs_err follow_take(struct follow *f, const chanserv_source *source, cs_bytes frame)
{
    struct tail_place *place = tail_place_make(&f->places, chanserv_source_header(source));
    struct tail_id id;
    bool moved;
    int64_t pos;

    if (!place)
        return CS_ENOMEM;
    if (!tail_mark_read(frame, &id, &pos)) {
        tail_point_pass(&place->point, frame.base, frame.len);
        return place->known ? CS_OK : CS_ENOTSUP;
    }
    moved = place->asked && !(tail_id_same(id, place->id) && pos == place->point.pos);
    if (!place->asked || moved)
        place->point = (struct tail_point){.pos = pos};
    place->id = id;
    place->known = true;
    place->asked = false;
    return moved ? CS_EDATALOSS : CS_DONE;
}

bool follow_goes_on(cs_err why)
{
    return why == CS_EREFUSED || why == CS_EPEER || why == CS_EDRAIN || why == CS_ELOST ||
           why == CS_EUNAVAIL || why == CS_ESTALLED;
}

void follow_free(struct follow *f)
{
    tail_places_free(f->places);
    free(f->body);
}
