/* outside_gateway -- a program of somebody else: knows the installed headers and chanserv-gateway.pc, no
 * more.  A server with a route of its own, which it asks itself; prints the answer's body. */
#define _GNU_SOURCE
#include <gateway/admin.h>
#include <gateway/gateway.h>

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static cs_err hello(gateway_request *request, void *user)
{
    (void)user;
    gateway_reply(request, 200, "text/plain", cs_str("hello"));
    return CS_DONE;
}

/* Asks "HOST:PORT", which has somebody to answer later. */
static int ask(const char *addr)
{
    static const char words[] = "GET /hello HTTP/1.0\r\n\r\n";
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *to = NULL;
    const char *port = strrchr(addr, ':');
    int fd = -1;
    if (port && getaddrinfo("127.0.0.1", port + 1, &hints, &to) == 0) {
        fd = socket(to->ai_family, to->ai_socktype, 0);
        if (fd >= 0 && (connect(fd, to->ai_addr, to->ai_addrlen) != 0 ||
                        write(fd, words, sizeof words - 1) != sizeof words - 1))
            shutdown(fd, SHUT_RDWR);
        freeaddrinfo(to);
    }
    return fd;
}

static cs_loop *loop;
static cs_timer *timer;
static int asked;
static char answer[4096];
static size_t len;

static void look(void *user)
{
    (void)user;
    ssize_t n = recv(asked, answer + len, sizeof answer - 1 - len, MSG_DONTWAIT);
    if (n == 0) {
        cs_loop_stop(loop);
        return;
    }
    len += n > 0 ? (size_t)n : 0;
    cs_timer_set(timer, 1);
}

int main(void)
{
    chanserv_server *server = NULL;
    gateway *gateway = NULL;
    gateway_admin *admin = NULL;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        gateway_new(server, NULL, &gateway) || gateway_admin_new(server, &admin) ||
        gateway_route(gateway, "GET", "/hello", hello, NULL) ||
        chanserv_listen(server, "127.0.0.1:0") || cs_timer_new(loop, look, NULL, &timer) ||
        (asked = ask(chanserv_server_addr(server, 0))) < 0)
        return 1;
    cs_timer_set(timer, 1);
    cs_err err = cs_loop_run(loop);
    const char *body = strstr(answer, "\r\n\r\n");
    printf("%s\n", body ? body + 4 : answer);
    close(asked);
    cs_timer_free(timer);
    gateway_admin_free(admin);
    gateway_free(gateway);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return cs_failed(err);
}
