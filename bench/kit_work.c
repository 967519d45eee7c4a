/* The workloads: what each asks for, and the unit it is told in. */
#include "bench/kit.h"

enum { BY_ARG = -1 };

/* Of a FIXED one BENCH_UNITS makes more or fewer frames. */
static const struct row {
    const char *name;
    enum kit_figure figure;
    uint64_t sources, frames;
    int size;
    enum { ENDLESS, FIXED, AGAIN } life;
} rows[] = {
    {"w1", KIT_MSGS, 1, 0, BY_ARG, ENDLESS},
    {"w2", KIT_MB, 1, 0, BY_ARG, ENDLESS},
    {"w3", KIT_MSGS, W3_STREAMS, W3_MSGS, SMALL, FIXED},
    {"w4", KIT_STREAMS, 0, 2, SMALL, ENDLESS},
    {"w5", KIT_SOURCES, W5_SOURCES, W5_FRAMES, SMALL, AGAIN},
    {"w6", KIT_SOURCES, 0, 0, 0, ENDLESS},
    {"w7", KIT_LATENCY, 1, 1, SMALL, AGAIN},
    {"beside", KIT_LATENCY, 1, 0, 65536, ENDLESS},
    {"loops", KIT_MSGS, 1, 0, 0, ENDLESS},
    /* What the original measures itself with. */
    {"connect", KIT_POSTS, 1, 1, 0, AGAIN},
    {"heavy", KIT_MB, 10, 500, 1 << 20, FIXED},
    {"flood", KIT_MSGS, 1000, 5000, SMALL, FIXED},
};

void kit_work_init(struct kit_work *work, const char *name, const char *arg)
{
    const struct row *row = NULL;
    uint64_t units = (uint64_t)env_d("BENCH_UNITS", 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name))
            row = &rows[i];
    if (!row)
        DIE("unknown workload %s", name);
    *work =
        (struct kit_work){.name = name,
                          .arg = arg,
                          .service = !strcmp(name, "w7")      ? "ping"
                                     : !strcmp(name, "loops") ? "hashes"
                                                              : "flows",
                          .sources = row->sources,
                          .frames = row->frames,
                          .size = row->size == BY_ARG ? strtoul(arg, NULL, 10) : (size_t)row->size,
                          .in_flight = UINT64_MAX,
                          .again = row->life == AGAIN,
                          .figure = row->figure};
    if (work->size > KIT_LARGEST)
        DIE("a frame is at most %d bytes", KIT_LARGEST);
    if (row->life == FIXED && units)
        work->frames = units < work->sources ? 1 : units / work->sources;
    if (row->life == FIXED)
        work->want = work->sources * work->frames;
    if (row->figure == KIT_STREAMS && !(work->in_flight = strtoul(arg, NULL, 10)))
        DIE("%s: how many in flight?", name);
    snprintf(work->request, sizeof work->request, "%llu %llu %zu %d",
             (unsigned long long)work->sources, (unsigned long long)work->frames, work->size,
             getenv("BENCH_INLINE") != NULL);
}

bool kit_counts_frames(const struct kit_work *work)
{
    return work->figure == KIT_MSGS || work->figure == KIT_MB;
}

void kit_emit(const char *peer, const struct kit_work *work, const meter *m, lat *l)
{
    static const char *const units[] = {
        [KIT_MSGS] = "msgs/s",       [KIT_MB] = "MB/s",       [KIT_STREAMS] = "streams/s",
        [KIT_SOURCES] = "sources/s", [KIT_POSTS] = "posts/s", [KIT_LATENCY] = "us"};
    char extra[128] = "";
    double figure = meter_rate(m);
    if (l->n && work->figure != KIT_SOURCES)
        lat_json(l, extra, sizeof extra);
    if (work->figure == KIT_MB)
        figure *= (double)work->size / 1e6;
    else if (work->figure == KIT_LATENCY)
        figure = lat_us(l, strcmp(work->name, "beside") ? .5 : .99);
    emit(peer, work->name, work->arg, figure, units[work->figure], m, extra);
}
