/* memory -- what happens when the process has nearly all that there is: no new posts, and the channel
 * that has stood still for the longest ends, of those that have no session.
 *
 * What all bounds together let clients make us hold may still be more than this machine has; the last
 * word is this one.  It is looked at when something begins, ten times a second at most, so who has
 * nothing to do pays nothing. */
#include "chanserv/session__in.h"

#include "mux/stats.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOOK_MS = 100 };

/* ---- How much there is ---------------------------------------------------------------------- */

/* Of a control group whose name follows "0::" in /proc/self/cgroup; INT64_MAX: it has no limit. */
static int64_t group_max(void)
{
    char line[512], path[600];
    long long max = INT64_MAX;
    FILE *in = fopen("/proc/self/cgroup", "re");

    path[0] = '\0';
    while (in && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", line + 3);
    }
    if (in)
        fclose(in);
    in = path[0] ? fopen(path, "re") : NULL;
    if (in && fscanf(in, "%lld", &max) != 1) /* "max" */
        max = INT64_MAX;
    if (in)
        fclose(in);
    return max;
}

/* `ulimit -d`; INT64_MAX: there is none. */
static int64_t process_max(void)
{
    struct rlimit data;

    return getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur < INT64_MAX ? (int64_t)data.rlim_cur
                                                                           : INT64_MAX;
}

int64_t chanserv__memory_there(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    int64_t machine = pages > 0 && size > 0 ? (int64_t)pages * size : INT64_MAX;
    int64_t group = group_max(), process = process_max();
    int64_t least = group < machine ? group : machine;

    return process < least ? process : least;
}

/* ---- Who ends ------------------------------------------------------------------------------- */

struct stillest {
    chanserv_post *post;
    chanserv_outlet *outlet; /* or the post itself */
    int64_t still_ms;
};

static bool is_stiller(struct stillest *than, const mux_stream *stream)
{
    int64_t ms = mux_stream_still_ms(stream);

    if (mux_stream_queued(stream) == 0 || ms <= than->still_ms)
        return false;
    than->still_ms = ms;
    return true;
}

static void look_at(struct stillest *s, chanserv_post *post)
{
    if (post->stream && !post->channel && !post->cut && is_stiller(s, post->stream)) {
        s->post = post;
        s->outlet = NULL;
    }
    for (struct cs_link *at = cs_list_first(&post->open); at; at = cs_list_next(&post->open, at)) {
        chanserv_outlet *o = CS_CONTAINER(at, chanserv_outlet, link);

        if (!o->u.open.channel && !(o->flags & CHANSERV__CUT) && is_stiller(s, o->u.open.stream)) {
            s->post = post;
            s->outlet = o;
        }
    }
}

static void end_stillest(chanserv_server *server)
{
    struct stillest s = {.still_ms = LOOK_MS};

    for (struct cs_link *at = cs_list_first(&server->posts); at;
         at = cs_list_next(&server->posts, at))
        look_at(&s, CS_CONTAINER(at, chanserv_post, link));
    if (!s.post)
        return;
    server->counters.memory_ended++;
    if (s.outlet)
        chanserv__outlet_cut(s.outlet, WIRE_R_STALLED, CS_ESTALLED, CHANSERV__STALLED);
    else
        chanserv__post_cut(s.post, WIRE_R_STALLED, CS_ESTALLED);
}

/* ---- When ----------------------------------------------------------------------------------- */

bool chanserv__memory_is_short(chanserv_server *server)
{
    struct chanserv__memory *memory = &server->memory;
    int64_t now = cs_loop_now_ms(server->loop);
    bool was_short = memory->is_short;

    if (server->options.memory_max_percent == INT64_MAX ||
        (memory->looked && now - memory->looked_ms < LOOK_MS))
        return memory->is_short;
    if (!memory->looked)
        memory->there = chanserv__memory_there();
    memory->looked = true;
    memory->looked_ms = now;
    /* Divided, for whatever number the option has. */
    memory->is_short =
        (int64_t)memory->used() / server->options.memory_max_percent >= memory->there / 100;
    if (memory->is_short && !was_short)
        cs_log(CS_WARN, "chanserv", "memory is beyond memory_max_percent: no new posts for now");
    if (memory->is_short)
        end_stillest(server);
    return memory->is_short;
}
