/* Any bytes to a server, over a link in memory.
 *
 * The first byte chooses how it serves (served.h), whether the preface stands in front of the rest,
 * whether anybody takes what it says, and whether time passes; the second how the bytes are cut.
 * Whatever comes, the server ends all that it took, once, and keeps nothing. */
#include "chanserv/server__in.h"
#include "mux/mux__in.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/served.h"

enum { CHOICES = 2, PREFACE = 8, DEAF = 16, TIME = 32, HANGS_UP = 64 };

FUZZ_FRAMES(CHOICES);

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static void say_all(struct served *s, struct fuzz_far *far, struct fuzz_in *in, uint8_t how)
{
    const size_t piece = fuzz_byte(in);

    if (how & PREFACE)
        fuzz_far_say(far, cs_bytes_of(preface, sizeof preface));
    cs_loop_settle(s->loop); /* its SETTINGS are out: an ACK is no mistake */
    while (in->left > 0 && !far->hung_up) {
        fuzz_far_say(far, fuzz_piece(in, piece));
        cs_loop_settle(s->loop);
        served_wake();
        if (how & TIME)
            cs_loop_advance(s->loop, 700);
    }
    if (how & HANGS_UP)
        fuzz_far_end(far);
    cs_loop_settle(s->loop);
    if (how & TIME)
        cs_loop_advance(s->loop, 60000);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_in in = {bytes, len};
    const uint8_t how = fuzz_byte(&in);
    struct fuzz_far far;
    struct served s;
    mux__link *ends[2];

    fuzz_begin();
    served_begin(&s, how);
    fuzz_must(mux__link_pair(s.loop, ends) == CS_OK);
    fuzz_must(mux__conn_accept(s.loop, ends[0], chanserv__server_net(s.server), s.handlers,
                               &s.handlers->local_conns, NULL) == CS_OK);
    fuzz_far_begin(&far, ends[1], how & DEAF);
    say_all(&s, &far, &in, how);
    fuzz_far_end(&far);
    served_end(&s);
    fuzz_end();
    return 0;
}
