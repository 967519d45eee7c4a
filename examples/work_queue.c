/* work_queue -- a queue of jobs of one's own: competing workers, prefetch, acknowledgements, and
 * jobs that go back when their worker dies.  Server and workers in one process, on virtual time.
 *
 *     work_queue
 *
 * A worker posts to "work" and gets one source.  Its frames are jobs; each frame that the worker
 * sends acknowledges its oldest job.  What it has not acknowledged when its stream ends is for the
 * others.
 */
#include <chanserv/chanserv.h>
#include <stdio.h>
#include <sys/queue.h>

enum { JOBS = 6, PREFETCH = 2 };

struct job {
    TAILQ_ENTRY(job) link;
    char what[16];
};
TAILQ_HEAD(jobs, job);

struct worker {
    TAILQ_ENTRY(worker) link;
    struct jobs taken; /* in the order they were given */
    int n_taken;
    chanserv_outlet *outlet;
};

static struct jobs waiting = TAILQ_HEAD_INITIALIZER(waiting);
static TAILQ_HEAD(, worker) workers = TAILQ_HEAD_INITIALIZER(workers);

static void offer(void)
{
    struct worker *w;
    TAILQ_FOREACH(w, &workers, link)
    chanserv_outlet_wake(w->outlet);
}

static cs_err work_open(chanserv_outlet *out, uint64_t from, void *state)
{
    struct worker *w = state;
    (void)from;
    w->outlet = out;
    TAILQ_INIT(&w->taken);
    TAILQ_INSERT_TAIL(&workers, w, link);
    return CS_OK;
}

static cs_err work_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    struct worker *w = state;
    struct job *job = TAILQ_FIRST(&waiting);
    (void)out;
    if (!job || w->n_taken == PREFETCH)
        return CS_AGAIN; /* offer() wakes it, or an acknowledgement */
    TAILQ_REMOVE(&waiting, job, link);
    TAILQ_INSERT_TAIL(&w->taken, job, link);
    w->n_taken++;
    *frame = cs_str(job->what);
    return CS_OK;
}

static void work_ack(chanserv_outlet *out, void *state)
{
    struct worker *w = state;
    cs_bytes ack;
    while (chanserv_outlet_recv(out, &ack) == CS_OK && w->n_taken > 0) {
        TAILQ_REMOVE(&w->taken, TAILQ_FIRST(&w->taken), link);
        w->n_taken--;
    }
    chanserv_outlet_wake(out);
}

static void work_end(chanserv_outlet *out, cs_err why, void *state)
{
    struct worker *w = state;
    struct job *job;
    (void)out;
    (void)why;
    if (!w->outlet)
        return; /* never opened */
    TAILQ_REMOVE(&workers, w, link);
    while ((job = TAILQ_LAST(&w->taken, jobs))) { /* back to the head, in order */
        printf("%s goes back\n", job->what);
        TAILQ_REMOVE(&w->taken, job, link);
        TAILQ_INSERT_HEAD(&waiting, job, link);
    }
    offer();
}

static const struct chanserv_outlet_ops work_ops = {.state_bytes = sizeof(struct worker),
                                                    .open = work_open,
                                                    .next = work_next,
                                                    .readable = work_ack,
                                                    .end = work_end,
                                                    .uplink = true};

static cs_err work(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_announce(post, body, &work_ops, NULL, NULL);
    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The workers ---------------------------------------------------------------------------- */

static chanserv_source *hire(chanserv_client *client)
{
    chanserv_feed *feed;
    chanserv_source *jobs = NULL;
    if (chanserv_lookup_and_post(client, "work", cs_str(""), NULL, &feed) == CS_OK)
        chanserv_range_source(feed, &jobs);
    return jobs;
}

static bool take(chanserv_source *jobs, const char *who)
{
    cs_bytes job;
    if (!jobs || !chanserv_range_frame(jobs, &job))
        return false;
    printf("%s does %.*s\n", who, CS_FMT(job));
    return true;
}

static bool done(chanserv_source *jobs)
{
    return chanserv_source_send(jobs, cs_str("done"), CS_FOREVER) == CS_OK;
}

int main(void)
{
    static struct job all[JOBS];
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    if (cs_loop_new_virtual(&loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "work", work, NULL) || chanserv_client_new(loop, NULL, &client) ||
        chanserv_join_local(client, server))
        return 1;
    for (int i = 0; i < JOBS; i++) {
        snprintf(all[i].what, sizeof all[i].what, "job %d", i);
        TAILQ_INSERT_TAIL(&waiting, &all[i], link);
    }
    chanserv_source *ann = hire(client), *bob = hire(client);
    bool good = take(ann, "ann") && take(bob, "bob"); /* each has two, and works on the first */
    chanserv_source_close(bob);                       /* and dies of it */
    for (int i = 0; i < JOBS; i++)
        good = good && done(ann) && (i == JOBS - 1 || take(ann, "ann"));
    cs_loop_settle(loop);
    good = good && TAILQ_EMPTY(&waiting);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return good ? 0 : 1;
}
