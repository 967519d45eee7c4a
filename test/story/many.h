/* many -- several servers of ours and a client that joins them, on one virtual loop.  They serve a
 * name by saying who they are. */
#ifndef TEST_STORY_MANY_H
#define TEST_STORY_MANY_H

#include "chanserv/client__in.h"

#include <criterion/criterion.h>

enum { MANY = 5 };

extern struct many {
    cs_loop *loop;
    chanserv_client *client;
    chanserv_server *servers[MANY];
    int runs[MANY]; /* how often the source function of each was called */
    char last;      /* which ran last: 'a' + its place */
} many;

void many_client(const struct chanserv_client_options *options); /* and the loop */
void many_up(void);                                              /* with none */
void many_down(void);
void many_server(int i); /* the node "n0", "n1" ... */
void many_serve(int i, const char *service);
void many_join(int i);
void many_servers(int n); /* so many that serve "x", joined */
void many_down_one(int i);
struct chanserv__node *many_node(int i); /* in the order of joining */

chanserv_feed *many_post(const char *service);
chanserv_feed *many_post_with(const char *service, const char *bucket, int timeout_ms);
/* Posts, and waits for the end: which node ran it, or '-'. */
char many_ran(const char *service);
char many_ran_with(const char *service, const char *bucket);
/* Waits for its end, and closes it. */
void many_ends(chanserv_feed *feed, cs_err why, const char *words);
int many_runs(void); /* all of them */

#endif
