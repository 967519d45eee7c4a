/* tickets -- see tickets.h. */
#include "test/attack/tickets.h"

#include <string.h>

struct tickets tickets;

/* Field 2 of an announcement, of 32 bytes. */
static void keep(struct peer *peer, uint32_t id, const uint8_t *bytes, size_t len)
{
    (void)peer;
    (void)id;
    for (size_t i = 0; i + 2 + TICKET <= len && tickets.len < TICKETS; i++)
        if (bytes[i] == 0x12 && bytes[i + 1] == TICKET) {
            memcpy(tickets.all[tickets.len++], bytes + i + 2, TICKET);
            i += 1 + TICKET;
        }
}

struct peer *tickets_take(struct attack *attack, struct peer *peer, uint32_t id,
                          const char *service, const char *body, uint64_t n)
{
    tickets.len = 0;
    peer->on_data = keep;
    peer_post(peer, id, service, body);
    peer_flush(peer);
    EXPECT(attack, peer_until(peer, &tickets.len, n, PEER_PATIENCE_MS), "%llu tickets of %llu",
           (unsigned long long)tickets.len, (unsigned long long)n);
    return peer;
}

void tickets_open(struct peer *peer, uint32_t id, const uint8_t *ticket)
{
    uint8_t request[2 + TICKET] = {0x0a, TICKET};
    memcpy(request + 2, ticket, TICKET);
    peer_request(peer, id, "Open");
    peer_message(peer, id, request, sizeof request, true);
}
