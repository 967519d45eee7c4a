/* behalf -- see behalf.h. */
#include "mux/behalf.h"
#include "mux/mux__in.h"

struct head { /* then: address, subject, names; each behind its length */
    int64_t uid, gid, pid;
    uint32_t sans_len, bytes;
};

size_t mux__packed_len(cs_bytes b)
{
    return sizeof(uint32_t) + b.len;
}

void mux__pack(uint8_t **to, cs_bytes b)
{
    uint32_t len = (uint32_t)b.len;

    memcpy(*to, &len, sizeof len);
    if (len > 0)
        memcpy(*to + sizeof len, b.base, len);
    *to += mux__packed_len(b);
}

cs_bytes mux__unpack(const uint8_t **at)
{
    cs_bytes b = {*at + sizeof(uint32_t), 0};
    uint32_t len;

    memcpy(&len, *at, sizeof len);
    b.len = len;
    *at += mux__packed_len(b);
    return b;
}

size_t mux_peer_packed_len(const struct mux_peer *peer)
{
    size_t bytes =
        sizeof(struct head) + mux__packed_len(peer->addr) + mux__packed_len(peer->tls_subject);

    for (size_t i = 0; i < peer->tls_sans_len; i++)
        bytes += mux__packed_len(peer->tls_sans[i]);
    return bytes;
}

void mux_peer_pack(const struct mux_peer *peer, uint8_t **to)
{
    const struct head head = {peer->uid, peer->gid, peer->pid, (uint32_t)peer->tls_sans_len,
                              (uint32_t)mux_peer_packed_len(peer)};

    memcpy(*to, &head, sizeof head);
    *to += sizeof head;
    mux__pack(to, peer->addr);
    mux__pack(to, peer->tls_subject);
    for (size_t i = 0; i < peer->tls_sans_len; i++)
        mux__pack(to, peer->tls_sans[i]);
}

struct mux_peer *mux_peer_unpack(const uint8_t **at)
{
    struct mux_peer *peer;
    struct head head;
    const uint8_t *from;
    cs_bytes *sans;

    memcpy(&head, *at, sizeof head);
    peer = cs_zalloc_with(sizeof *peer, head.sans_len * sizeof *sans + head.bytes);
    if (!peer)
        return NULL;
    sans = cs_extra(peer, sizeof *peer);
    from = memcpy(sans + head.sans_len, *at, head.bytes);
    from += sizeof head;
    *at += head.bytes;
    *peer = (struct mux_peer){
        .addr = mux__unpack(&from), .uid = head.uid, .gid = head.gid, .pid = head.pid};
    peer->tls_subject = mux__unpack(&from);
    peer->tls_sans = sans;
    peer->tls_sans_len = head.sans_len;
    for (uint32_t i = 0; i < head.sans_len; i++)
        sans[i] = mux__unpack(&from);
    return peer;
}

struct mux_peer *mux_peer_dup(const struct mux_peer *peer)
{
    uint8_t *packed = cs_alloc(mux_peer_packed_len(peer)), *to = packed;
    const uint8_t *at = packed;
    struct mux_peer *copy;

    if (!packed)
        return NULL;
    mux_peer_pack(peer, &to);
    copy = mux_peer_unpack(&at);
    cs_free(packed);
    return copy;
}

/* Whom a call inside the process is made for. */
cs_err mux__behalf_take(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);
    const uint8_t *at;
    cs_bytes packed;

    if (!stream->conn->is_local || !extra ||
        mux__meta_get(extra->headers, MUX_BEHALF, &packed) != CS_OK)
        return CS_OK;
    at = packed.base;
    if (!(extra->peer = mux_peer_unpack(&at)))
        return CS_ENOMEM;
    mux__meta_remove(extra->headers, cs_str(MUX_BEHALF));
    return CS_OK;
}
