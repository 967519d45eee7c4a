/* bond_say -- what a session tells the server: what arrived, what is over, what nobody will open.
 *
 * What arrived is acknowledged after 20 ms, and every 256 KiB: 1 KiB more for each channel that brought
 * some, up to 512 KiB, so that an acknowledgement is about more than a frame or two.  Of a message that has
 * come in part nothing is said.  Whoever is done is said after 20 ms, and when there are some forty: the
 * server holds them until then. */
#include "chanserv/client__in.h"

#include "mux/lasting.h"

enum {
    FLUSH_MS = 20,
    FLUSH_BYTES = 256 * 1024,
    FLUSH_EACH = 1024,
    FLUSH_BYTES_MAX = 512 * 1024,
    FLUSH_OUT = 256,
    MESSAGE = 8 * 1024
};

static size_t fill_dues(struct chanserv__bond *bond, uint8_t *to)
{
    struct cs_link *link;
    size_t n = 0;

    while (n + WIRE_ACK_MAX <= MESSAGE && (link = cs_list_pop(&bond->due)) != NULL) {
        struct chanserv__tie *tie = CS_CONTAINER(link, struct chanserv__tie, due);

        if (!tie->line || !tie->line->stream)
            continue;
        tie->acked = chanserv__tie_first(tie) + mux_stream_received(tie->line->stream);
        n += wire_ack_put(to + n, tie->number, tie->acked, false, cs_bytes_of(NULL, 0));
    }
    return n;
}

/* As many whole words of `out` as one message holds. */
static size_t fill_dones(struct chanserv__bond *bond, uint8_t *to)
{
    cs_bytes rest = cs_bytes_of(bond->out.base, bond->out.len);
    size_t n = 0, len = rest.len;
    struct wire_ack ack;

    if (len <= MESSAGE)
        n = len;
    while (n + WIRE_ACK_MAX <= MESSAGE && n < len && wire_ack_next(&rest, &ack) == CS_OK)
        n = len - rest.len;
    if (n == 0)
        return 0;
    memcpy(to, bond->out.base, n);
    memmove(bond->out.base, (const char *)bond->out.base + n, len - n);
    bond->out.len = len - n;
    return n;
}

void chanserv__bond_flush(struct chanserv__bond *bond)
{
    uint8_t msg[MESSAGE];
    cs_bytes say;

    cs_timer_set(bond->flush, CS_OFF);
    bond->flushes = false;
    if (!bond->stream || bond->attempt == 0)
        return;
    if (!bond->freed)
        bond->acked = mux_limbo_arrived(bond->limbo);
    bond->dues = 0;
    while (mux_stream_room(bond->stream) > 0) {
        say = cs_bytes_of(msg, fill_dones(bond, msg));
        if (say.len == 0)
            say.len = fill_dues(bond, msg);
        if (say.len == 0)
            return;
        if (mux_stream_send(bond->stream, say, cs_bytes_of(NULL, 0)) != CS_OK)
            mux_stream_cancel(bond->stream, CS_ENOMEM); /* all of it is said again */
    }
}

static void flush_soon(struct chanserv__bond *bond)
{
    if (bond->freed || bond->flushes)
        return;
    bond->flushes = true;
    cs_timer_set(bond->flush, FLUSH_MS);
}

void chanserv__bond_due(struct chanserv__bond *bond, struct chanserv__tie *tie)
{
    if (cs_linked(&tie->due))
        return;
    cs_list_push(&bond->due, &tie->due);
    bond->dues++;
}

void chanserv__bond_arrived(struct chanserv__bond *bond)
{
    uint64_t arrived = mux_limbo_arrived(bond->limbo);
    uint64_t enough = FLUSH_BYTES + (uint64_t)bond->dues * FLUSH_EACH;

    bond->moved = bond->moved || arrived > bond->acked;
    if (bond->dues == 0)
        return; /* half a message is nothing to acknowledge */
    if (arrived - bond->acked >= (enough < FLUSH_BYTES_MAX ? enough : FLUSH_BYTES_MAX))
        chanserv__bond_flush(bond);
    else
        flush_soon(bond);
}

static void remember_done(struct chanserv__bond *bond, uint32_t number)
{
    if (!bond->dones && !(bond->dones = cs_alloc(CHANSERV__DONES * sizeof *bond->dones)))
        return; /* if this word is lost, the server waits for the session's end */
    bond->dones[bond->dones_at] = number;
    bond->dones_at = (bond->dones_at + 1) % CHANSERV__DONES;
    bond->dones_len += bond->dones_len < CHANSERV__DONES;
}

static void say_done(struct chanserv__bond *bond, uint32_t number, cs_bytes why)
{
    struct cs_buf *out = &bond->out;
    uint8_t ack[WIRE_ACK_MAX];

    if (out->cap - out->len >= sizeof ack) /* as a rule: without a copy */
        out->len += wire_ack_put(out->base + out->len, number, 0, true, why);
    else
        (void)cs_buf_add(out, cs_bytes_of(ack, wire_ack_put(ack, number, 0, true, why)));
}

void chanserv__bond_done(struct chanserv__bond *bond, uint32_t number, cs_bytes why, bool now)
{
    if (bond->attempt == 0 || bond->freed || bond->standing == CHANSERV__BOND_OFF)
        return;
    say_done(bond, number, why);
    remember_done(bond, number);
    if (now || bond->out.len >= FLUSH_OUT)
        chanserv__bond_flush(bond);
    else
        flush_soon(bond);
}

void chanserv__bond_skip(struct chanserv__bond *bond, uint32_t number, uint64_t seq)
{
    uint8_t ack[WIRE_SKIP_MAX];

    if (bond->attempt == 0 || bond->freed || bond->standing == CHANSERV__BOND_OFF)
        return;
    (void)cs_buf_add(&bond->out, cs_bytes_of(ack, wire_skip_put(ack, number, seq)));
    flush_soon(bond);
}

/* The server may have heard none of what was said last.  What is still in `out` was said to nobody, and
 * comes first: it has reasons. */
void chanserv__bond_say_again(struct chanserv__bond *bond)
{
    struct cs_link *link;

    for (size_t i = 0; i < bond->dones_len; i++)
        say_done(bond, bond->dones[i], cs_bytes_of(NULL, 0));
    for (link = cs_list_first(&bond->ties); link; link = cs_list_next(&bond->ties, link)) {
        struct chanserv__tie *tie = CS_CONTAINER(link, struct chanserv__tie, link);

        if (!tie->line)
            continue;
        tie->acked = chanserv__tie_first(tie);
        chanserv__bond_due(bond, tie);
    }
}
