/* dds -- Eclipse Cyclone DDS over UDP: reliable, keep-all, batched writes.  w1, w2, w7.  bench/run sets
 * CYCLONEDDS_URI: the loopback interface only, no multicast. */
#include "bench/peers/tags.h"
#include <dds/dds.h>
#include <frame.h>

enum { MOST = 256 };

static dds_entity_t writer, reader, waits;
static Frame frame;
static void *samples[MOST];

static void open_both(int domain, int server, int batched, size_t size)
{
    dds_entity_t p = dds_create_participant((dds_domainid_t)(domain % 200), NULL, NULL);
    if (p < 0)
        DIE("dds: %s", dds_strretcode(-p));
    dds_qos_t *q = dds_create_qos();
    dds_qset_reliability(q, DDS_RELIABILITY_RELIABLE, DDS_SECS(10));
    dds_qset_history(q, DDS_HISTORY_KEEP_ALL, 0);
    dds_qset_resource_limits(q, size > 4096 ? 64 : 8192, DDS_LENGTH_UNLIMITED,
                             DDS_LENGTH_UNLIMITED);
    dds_write_set_batch(batched);
    dds_entity_t to = dds_create_topic(p, &Frame_desc, server ? "a" : "b", q, NULL);
    dds_entity_t from = dds_create_topic(p, &Frame_desc, server ? "b" : "a", q, NULL);
    writer = dds_create_writer(p, to, q, NULL);
    reader = dds_create_reader(p, from, q, NULL);
    waits = dds_create_waitset(p);
    dds_set_status_mask(reader, DDS_DATA_AVAILABLE_STATUS);
    dds_waitset_attach(waits, reader, 0);
}

/* Until both have found each other, both ways. */
static void meet(void)
{
    for (int i = 0; i < 1000; i++) {
        dds_publication_matched_status_t out;
        dds_subscription_matched_status_t in;
        dds_get_publication_matched_status(writer, &out);
        dds_get_subscription_matched_status(reader, &in);
        if (out.current_count && in.current_count)
            return;
        usleep(5000);
    }
    DIE("nobody came");
}

/* Samples that came, looked at; 0: none. */
static int take(void)
{
    dds_sample_info_t infos[MOST];
    int n = dds_take(reader, samples, infos, MOST, MOST);
    for (int i = 0; i < n; i++) {
        const Frame *f = samples[i];
        if (infos[i].valid_data)
            spot_look(f->data._buffer, f->data._length);
    }
    if (n > 0)
        dds_return_loan(reader, samples, n);
    return n > 0 ? n : 0;
}

static int take_some(void)
{
    int n;
    while ((n = take()) == 0)
        dds_waitset_wait(waits, NULL, 0, DDS_SECS(5));
    return n;
}

static void server(int echo)
{
    meet();
    for (;;) {
        if (echo)
            take_some();
        if (dds_write(writer, &frame))
            return;
    }
}

static void ping(void)
{
    uint64_t n = 0;
    lat latency = {0};
    meter m;
    meter_init(&m);
    do {
        uint64_t t = now_ns();
        dds_write(writer, &frame);
        take_some();
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    emit_ping("cyclonedds", &m, &latency);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: dds server|client PORT WORKLOAD [ARG]");
    bench_bound();
    const char *wl = argv[3], *arg = argc > 4 ? argv[4] : "";
    int is_server = argv[1][0] == 's', pings = wl[1] == '7';
    size_t size = pings ? SMALL : strtoul(arg, NULL, 10);
    uint64_t n = 0;
    meter m;
    open_both(atoi(argv[2]), is_server, !pings, size);
    frame.data._maximum = frame.data._length = (uint32_t)size;
    frame.data._buffer = malloc(size);
    spot_fill(frame.data._buffer, size, is_server);
    if (is_server) {
        ready();
        server(pings);
        return 1;
    }
    meet();
    usleep(200000);
    if (pings)
        ping();
    else {
        meter_init(&m);
        do
            n += (uint64_t)take_some();
        while (!meter_tick(&m, n));
        emit_stream("cyclonedds", wl, arg, size, &m);
    }
    _exit(0);
}
