/* kept -- see kept__in.h. */
#include "gateway/kept__in.h"

enum { KEPT_BYTES = 1024 /* about, of one without its frames */ };

static void drop_first(struct gateway__kept *k)
{
    struct gateway__frame *frame =
        CS_CONTAINER(cs_list_pop(&k->frames), struct gateway__frame, link);

    k->bytes -= frame->ref.bytes.len;
    cs_ref_drop(&frame->ref);
    cs_free(frame);
}

static void drop_frames(struct gateway__kept *k)
{
    while (!cs_list_empty(&k->frames))
        drop_first(k);
}

static void let_go_of_source(struct gateway__kept *k)
{
    if (!k->source)
        return;
    ((struct gateway__ear *)chanserv_source_state(k->source))->kept = NULL;
    chanserv_source_close(k->source);
    k->source = NULL;
}

void gateway__kept_read(struct gateway__kept *k)
{
    k->gateway->lingering_bytes -= k->counted;
    k->counted = 0;
    cs_unlink(&k->link);
    cs_timer_set(k->linger, CS_OFF);
}

static void kept_free(struct gateway__kept *k)
{
    if (k->linger)
        gateway__kept_read(k);
    (void)cs_names_remove(&k->gateway->kept, k->ticket);
    if (k->reader)
        k->reader->kept = NULL;
    let_go_of_source(k);
    drop_frames(k);
    cs_timer_free(k->linger);
    cs_free(k);
}

void gateway__kept_free(gateway *gw)
{
    size_t at = 0;
    void *kept;

    while (cs_names_each(&gw->kept, &at, &kept))
        kept_free(kept);
    cs_names_fini(&gw->kept);
}

static void on_linger(void *user)
{
    struct gateway__kept *k = user;

    chanserv_server_foreign(k->gateway->server)->http_lingered++;
    kept_free(k);
}

static void make_room(gateway *gw)
{
    while (gw->lingering_bytes > gw->options.lingering_bytes) {
        chanserv_server_foreign(gw->server)->http_lingering_lost++;
        kept_free(CS_CONTAINER(cs_list_first(&gw->lingering), struct gateway__kept, link));
    }
}

void gateway__kept_unread(struct gateway__kept *k)
{
    k->reader = NULL;
    if (k->gateway->freed || !k->opened) {
        kept_free(k);
        return;
    }
    cs_timer_set(k->linger, k->gateway->options.linger_ms);
    k->counted = KEPT_BYTES + (int64_t)k->bytes;
    cs_list_push(&k->gateway->lingering, &k->link);
    k->gateway->lingering_bytes += k->counted;
    make_room(k->gateway);
}

void gateway__kept_lose(struct gateway__kept *k)
{
    k->over = true;
    let_go_of_source(k);
    drop_frames(k);
}

static cs_err remember(struct gateway__kept *k, cs_ref *ref)
{
    struct gateway__frame *frame = cs_zalloc(sizeof *frame);

    if (!frame)
        return CS_ENOMEM;
    frame->seq = chanserv_source_seq(k->source);
    frame->gap = chanserv_source_gap(k->source);
    frame->ref = *ref;
    cs_list_push(&k->frames, &frame->link);
    k->bytes += ref->bytes.len;
    k->next = frame->seq + 1;
    while (k->bytes > (uint64_t)k->gateway->options.keep_bytes &&
           cs_list_first(&k->frames) != &frame->link)
        drop_first(k);
    return CS_OK;
}

cs_err gateway__kept_fetch(struct gateway__kept *k)
{
    cs_ref ref;
    cs_err err;

    if (k->over)
        return CS_DONE;
    err = chanserv_source_recv_ref(k->source, &ref);
    if (err == CS_OK) {
        if ((err = remember(k, &ref)) != CS_OK)
            cs_ref_drop(&ref);
        return err;
    }
    if (err == CS_AGAIN)
        return err;
    k->over = true;
    k->why = err;
    k->last_gap = chanserv_source_gap(k->source);
    return CS_DONE;
}

const struct gateway__frame *gateway__kept_find(const struct gateway__kept *k, uint64_t seq)
{
    struct cs_link *link = cs_list_last(&k->frames), *found = NULL;

    for (; link && CS_CONTAINER(link, struct gateway__frame, link)->seq >= seq;
         link = link->prev == &k->frames.head ? NULL : link->prev)
        found = link;
    return found ? CS_CONTAINER(found, struct gateway__frame, link) : NULL;
}

uint64_t gateway__kept_first(const struct gateway__kept *k)
{
    struct cs_link *first = cs_list_first(&k->frames);

    return first ? CS_CONTAINER(first, struct gateway__frame, link)->seq : k->next;
}

cs_err gateway__kept_new(gateway *gw, cs_bytes ticket, cs_bytes owner, struct gateway__kept **ret)
{
    struct gateway__kept *k = cs_zalloc(sizeof *k + ticket.len + owner.len);
    char *to = (char *)(k + 1);
    cs_err err;

    if (!k)
        return CS_ENOMEM;
    k->gateway = gw;
    k->ticket = cs_bytes_put(&to, ticket);
    k->owner = cs_bytes_put(&to, owner);
    cs_list_init(&k->frames);
    cs_link_init(&k->link);
    err = cs_timer_new(gw->loop, on_linger, k, &k->linger);
    if (err == CS_OK)
        err = cs_names_put(&gw->kept, k->ticket, k);
    if (err == CS_OK)
        *ret = k;
    else
        kept_free(k);
    return err;
}
