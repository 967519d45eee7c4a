/* Any client's beginnings, and main() of the programs. */
#include "bench/kit.h"

_Noreturn void kit_wrong(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    _exit(1);
}

cs_loop *kit_loop(void)
{
    cs_loop *loop;
    if (cs_loop_new(NULL, &loop) != CS_OK)
        DIE("no loop");
    return loop;
}

chanserv_client *kit_client(cs_loop *loop, const char *port)
{
    char addr[64], ca[256];
    const char *tls = getenv("BENCH_TLS");
    const struct mux_tls files = {.ca_file = ca};
    struct chanserv_client_options options = {.resume_ms = (int)env_d("BENCH_RESUME", 0),
                                              .busy_poll_us = (int)env_d("BENCH_BUSY_POLL", 0)};
    chanserv_client *client;
    if (tls) {
        snprintf(ca, sizeof ca, "%s/cert.pem", tls);
        options.net.tls = &files;
    }
    snprintf(addr, sizeof addr, "127.0.0.1:%s", port);
    if (chanserv_client_new(loop, &options, &client) != CS_OK ||
        chanserv_join(client, addr) != CS_OK)
        DIE("no client");
    return client;
}

int kit_main(int argc, char **argv, void (*client)(const char *port, const struct kit_work *work))
{
    struct kit_work work;
    if (argc < 4)
        DIE("usage: %s server|client PORT WORKLOAD [ARG]", argv[0]);
    bench_bound();
    if (!strcmp(argv[1], "server"))
        return kit_serve(argv[2], argv[3]);
    kit_work_init(&work, argv[3], argc > 4 ? argv[4] : "");
    client(argv[2], &work);
    return 0;
}
