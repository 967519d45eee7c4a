#include "test/story/many.h"

#include <stdio.h>

struct many many;

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    const int i = (int)((int *)user - many.runs);

    (void)post, (void)body;
    many.runs[i]++;
    many.last = (char)('a' + i);
    return CS_DONE;
}

void many_server(int i)
{
    char name[8];
    struct chanserv_server_options options = {.node = name};

    snprintf(name, sizeof name, "n%d", i);
    cr_assert_eq(chanserv_server_new(many.loop, &options, &many.servers[i]), CS_OK);
}

void many_serve(int i, const char *service)
{
    cr_assert_eq(chanserv_serve(many.servers[i], service, echo, &many.runs[i]), CS_OK);
}

void many_join(int i)
{
    cr_assert_eq(chanserv_join_local(many.client, many.servers[i]), CS_OK);
}

void many_client(const struct chanserv_client_options *options)
{
    memset(&many, 0, sizeof many);
    cr_assert_eq(cs_loop_new_virtual(&many.loop), CS_OK);
    cr_assert_eq(chanserv_client_new(many.loop, options, &many.client), CS_OK);
}

void many_up(void)
{
    many_client(NULL);
}

/* `n` servers that serve "x", joined. */
void many_servers(int n)
{
    for (int i = 0; i < n; i++) {
        many_server(i);
        many_serve(i, "x");
        many_join(i);
    }
}

void many_down_one(int i)
{
    chanserv_server_free(many.servers[i]);
    many.servers[i] = NULL;
}

void many_down(void)
{
    chanserv_client_free(many.client);
    for (int i = 0; i < MANY; i++)
        chanserv_server_free(many.servers[i]);
    cs_loop_free(many.loop);
}

struct chanserv__node *many_node(int i)
{
    struct chanserv__node *n = chanserv__nodes_first(many.client);

    while (i-- > 0)
        n = chanserv__nodes_next(n);
    return n;
}

chanserv_feed *many_post_with(const char *service, const char *bucket, int timeout_ms)
{
    const struct chanserv_post_options options = {.bucket = cs_str(bucket),
                                                  .timeout_ms = timeout_ms};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(many.client, service, cs_str(""), &options, &feed),
                 CS_OK);
    return feed;
}

chanserv_feed *many_post(const char *service)
{
    return many_post_with(service, "", 0);
}

/* Waits for its end; which node ran it, or '-'. */
char many_ran_with(const char *service, const char *bucket)
{
    chanserv_feed *feed = many_post_with(service, bucket, 0);
    chanserv_source *source;

    many.last = '-';
    while (chanserv_range_source(feed, &source))
        ;
    (void)chanserv_feed_close(feed);
    return many.last;
}

char many_ran(const char *service)
{
    return many_ran_with(service, "");
}

void many_ends(chanserv_feed *feed, cs_err why, const char *words)
{
    chanserv_source *source;

    while (chanserv_range_source(feed, &source))
        ;
    cr_assert_eq(chanserv_feed_status(feed), why == CS_OK ? CS_DONE : why, "%s",
                 chanserv_feed_errmsg(feed));
    cr_assert(strstr(chanserv_feed_errmsg(feed), words), "%s", chanserv_feed_errmsg(feed));
    (void)chanserv_feed_close(feed);
}

int many_runs(void)
{
    int n = 0;

    for (int i = 0; i < MANY; i++)
        n += many.runs[i];
    return n;
}
