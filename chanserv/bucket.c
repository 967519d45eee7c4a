/* bucket -- which node a bucket belongs to: rendezvous hashing (highest random weight).
 *
 * Every node has a weight for every bucket, and the heaviest has it.  A node that goes takes only
 * its own buckets with it, and they return when it does; nobody has to agree on anything but the
 * names of the nodes.  The weights are part of the protocol (docs/WIRE): two clients, of whatever
 * make, must send a bucket to the same node. */
#include "chanserv/client__in.h"

/* FNV-1a, 64 bits. */
static uint64_t hash(cs_bytes bytes)
{
    const uint8_t *at = bytes.base;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return h;
}

/* Every bit of the sum decides about every bit of the weight (the finaliser of SplitMix64).
 * Without it buckets that differ in their last letter would stay together. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t chanserv__bucket_weight(cs_bytes bucket, cs_bytes node)
{
    return mix(mix(hash(bucket)) + hash(node));
}
