/* conform_states -- what each kind of frame gets in each state of its stream: the first two tables of
 * docs/CONFORMANCE, which are held to these.  But for the state the frames are as they should be.
 *
 *     -  the connection goes on, and nothing is reset
 *     e  it is the end of the call: RST_STREAM CANCEL, for what we had still to say
 *     P  GOAWAY PROTOCOL_ERROR      S  GOAWAY STREAM_CLOSED */
#ifndef TEST_MUX_CONFORM_STATES_H
#define TEST_MUX_CONFORM_STATES_H

#include <stddef.h>

enum { CONFORM_STATES = 9 };

struct conform_frame {
    const char *name, *line;     /* %d: its stream */
    const char *server, *client; /* what we do as the one and as the other: a letter a state */
    const char *of_server;       /* how a server says it, if not the same */
};

static const struct conform_frame conform_frames[] = {
    {"DATA", "DATA 0 %d 00 00 00 00 00", "PPPP-S---", "PPPP-----", NULL},
    {"HEADERS", "HEADERS 5 %d {x-trailer=1}", "P-PP-S---", "PPPPe----", NULL},
    {"PRIORITY", "PRIORITY 0 %d 00 00 00 00 10", "P--------", "P--------", NULL},
    {"RST_STREAM", "RST_STREAM 0 %d 00 00 00 08", "PPPP-----", "PPPP-----", NULL},
    {"SETTINGS", "SETTINGS 0 %d", "-PPPPPPPP", "-PPPPPPPP", NULL},
    {"PUSH_PROMISE", "PUSH_PROMISE 4 %d 00 00 00 02 82 86 84", "PPPPPPPPP", "PPPPPPPPP", NULL},
    {"PING", "PING 0 %d 00 00 00 00 00 00 00 00", "-PPPPPPPP", "-PPPPPPPP", NULL},
    {"GOAWAY", "GOAWAY 0 %d 00 00 00 00 00 00 00 00", "-PPPPPPPP", "-PPPPPPPP",
     "GOAWAY 0 %d 7f ff ff ff 00 00 00 00"},
    {"WINDOW_UPDATE", "WINDOW_UPDATE 0 %d 00 00 00 01", "-PPP-----", "-PPP-----", NULL},
    {"CONTINUATION", "CONTINUATION 4 %d 82", "PPPPPPPPP", "PPPPPPPPP", NULL},
    {"PRIORITY_UPDATE", "PRIORITY_UPDATE 0 %d 00 00 00 01 75 3d 31", "---------", "---------",
     NULL},
    {"UNKNOWN", "UNKNOWN 0 %d 3f", "---------", "---------", NULL},
};
enum { CONFORM_FRAMES = sizeof conform_frames / sizeof *conform_frames };

#endif
