/* script -- a server written by hand, frame by frame, and a client of ours that has posted to it
 * and has one source open: stream 1 is the post, stream 3 the source. */
#ifndef TEST_STORY_SCRIPT_H
#define TEST_STORY_SCRIPT_H

#include "chanserv/client.h"
#include "test/support/fake_peer.h"

struct script {
    cs_loop *loop;
    chanserv_client *client;
    fake_peer *peer; /* NULL: its link ended */
    chanserv_feed *feed;
    int frames;
};

struct script *script_new(void);
void script_free(struct script *s);
chanserv_source *script_source(struct script *s); /* posted, announced, opened and answered */
void script_frame(struct script *s, const char *payload, bool end); /* on stream 3 */

#endif
