/* etcd -- a client of any gRPC server, without stubs: watches a key of an etcd, and puts it.
 *     etcd [ADDR]        with an etcd behind ADDR, and if it is still starting
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

static cs_loop *loop;
static mux_conn *etcd;
static int messages, left = 2; /* calls that have not ended */

static void on_put(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    (void)user;
    printf("put: %s%s (%s)\n", cs_strerror(err), errmsg, reply.len > 0 ? "a reply" : "none");
    if (--left == 0)
        cs_loop_stop(loop);
}

/* The first message says that the watch is there, then each is a change. */
static void on_watch(mux_stream *watch, void *state)
{
    static const char put_k_v[] = "\x0a\x01k\x12\x01v"; /* PutRequest{key: "k", value: "v"} */
    static const struct mux_call_options soon = {.timeout_ms = 2000};
    cs_bytes message;
    (void)state;
    while (mux_stream_recv(watch, &message) == CS_OK)
        if (messages++ == 0)
            mux_unary(etcd, "/etcdserverpb.KV/Put", cs_bytes_of(put_k_v, sizeof put_k_v - 1), &soon,
                      on_put, NULL, NULL);
        else {
            printf("watch: k has changed\n");
            mux_stream_cancel(watch, CS_ECANCELED);
        }
}

static void on_end(mux_stream *watch, cs_err why, void *state)
{
    (void)state;
    if (why != CS_ECANCELED)
        fprintf(stderr, "watch: %s\n", mux_stream_errmsg(watch));
    if (--left == 0 || messages == 0)
        cs_loop_stop(loop);
}

static const struct mux_stream_ops watch_ops = {.readable = on_watch, .end = on_end};

int main(int argc, char **argv)
{
    static const char create_k[] = "\x0a\x03\x0a\x01k"; /* WatchRequest{create_request{key: "k"}} */
    static const struct mux_call_options patient = {.wait_for_ready = true};
    mux_stream *watch;
    if (cs_loop_new(NULL, &loop) != CS_OK ||
        mux_dial(loop, argc > 1 ? argv[1] : "localhost:2379", NULL, &etcd) != CS_OK ||
        mux_stream_open(etcd, "/etcdserverpb.Watch/Watch", &patient, &watch_ops, NULL, &watch) !=
            CS_OK ||
        mux_stream_send(watch, cs_bytes_of(create_k, sizeof create_k - 1), cs_str("")) != CS_OK)
        return 1;
    cs_err err = cs_loop_run(loop);
    mux_conn_free(etcd);
    cs_loop_run(loop); /* what was freed goes */
    cs_loop_free(loop);
    return cs_failed(err) || messages < 2;
}
