/* breaks -- our client and our server on a virtual loop, for tests of connections that break: a service of
 * numbers, of which every 7th is left out, an echo, and who reads and says what they serve and compares it all. */
#ifndef TEST_CHANSERV_BREAKS_H
#define TEST_CHANSERV_BREAKS_H

#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"

enum { SOURCES = 8, FRAMES = 120, SAID = 60, WHYS = 256 };

extern struct breaks {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed, *talk;
    int runs, ends, cuts, unwanted, lost, gone, detached, attached;
    cs_err feed_why, talk_why;
    size_t frames, gaps, heard, said, echoed;
    chanserv_source *mouth, *sources[SOURCES];
    int sources_len;
    chanserv_outlet *outlets[SOURCES];
    cs_err whys[WHYS];
    int whys_len;
    uint64_t attached_last;
    int allow;         /* frames that are given before the next tick */
    bool strict;       /* every source ends well */
    bool forgets;      /* the server's acknowledgements get lost */
    bool cuts_itself;  /* while the first post runs its connection breaks */
    unsigned len, say; /* frames of a source, and of the conversation */
    unsigned dice;
} breaks;

/* Of the client's connections; 0: as ever.  Before it begins. */
extern int64_t breaks_calls_max;
extern int breaks_age_ms;

/* A server that serves "numbers" and "echo", and a client that joined it. */
cs_err breaks_begin(unsigned seed, const struct chanserv_server_options *options); /* NULL: slow */
cs_err breaks_begin_short(void);     /* with little to say, posted */
cs_err breaks_post(void);            /* one to each: feed and talk */
void breaks_end(void);               /* what there is of it */
bool breaks_over(void);              /* all ends were told */
void breaks_tick(int allow, int ms); /* so many numbers, so much time */
uint32_t breaks_roll(uint32_t n);    /* dice, by the seed */
struct chanserv_counters breaks_counters(void);
void breaks_expect_all(unsigned seed); /* everything arrived, once */

/* More to serve: each run counts. */
cs_err breaks_numbers(chanserv_post *post, cs_bytes body, void *user);
cs_err breaks_none(chanserv_post *post, cs_bytes body, void *user); /* announces nothing */
cs_err breaks_stay(chanserv_post *post, cs_bytes body, void *user); /* and goes on */

cs_bytes breaks_frame(uint64_t source, uint64_t number);
void breaks_outlet_end(chanserv_outlet *o, cs_err why, void *state); /* counts */
void breaks_frames_end(chanserv_source *source, cs_err why, void *state);
extern const struct chanserv_source_ops
    breaks_frames_ops;                                 /* takes and compares; state: a uint64_t */
extern const struct chanserv_feed_ops breaks_feed_ops; /* with these; state: a cs_err, its end */
extern const struct chanserv_source_ops
    breaks_mouth_ops; /* says `say` frames, and hears the echo */
void breaks_say(chanserv_source *source, void *state);
void breaks_feed_end(chanserv_feed *feed, cs_err why, void *state);
void breaks_feed_kept(chanserv_feed *feed, void *state); /* readable(): into `sources`, unopened */

struct chanserv__bond *breaks_hurt(void); /* it breaks, and rests until it is healed */
void breaks_heal(struct chanserv__bond *bond);
void breaks_roll_over(void); /* each connection is told to go */

#endif
