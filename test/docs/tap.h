/* tap -- a client and a server of ours, and between them somebody who writes down what each says.
 *
 * On a virtual loop, so that what is said, and in which order, is the same each time. */
#ifndef TEST_DOCS_TAP_H
#define TEST_DOCS_TAP_H

#include "chanserv/chanserv.h"

/* Something that was said: the preface, or a frame. */
struct tap_item {
    char title[64];       /* "client HEADERS 1 END_STREAM" */
    char fields[16][160]; /* of HEADERS: "name: value" */
    size_t fields_len;
    uint8_t payload[512]; /* of all others, frame head included for the preface and SETTINGS */
    size_t payload_len;
};

struct tap {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    struct tap_item items[64];
    size_t items_len;
};
void tap_begin(struct tap *tap); /* both are there, and nothing was said yet */
void tap_end(struct tap *tap);

#endif
