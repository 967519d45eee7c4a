/* Any text as what people write: addresses, the values of options, the file and the command line of
 * `chanserv serve`, rules for who may do what.
 *
 * The first byte chooses which.  What is said of an address before is what the listener says; an address
 * that was expanded and written down means the same when it is read again. */
#include "tools/json.h"
#include "mux/link__in.h"
#include "test/fuzz/fuzz.h"
#include "tools/auth.h"
#include "tools/serve_config.h"
#include "tools/tool.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TEXT = 4096, WORDS = 12, WHY = 200 };

/* ---- Addresses -------------------------------------------------------------------------------- */

static void read_again(const struct mux__sockaddr *sa)
{
    struct mux__sockaddr again[MUX__ADDRS_MAX];
    struct mux__addr addr;
    char text[200];
    size_t n;

    (void)mux__sockaddr_is_local(sa);
    mux__sockaddr_format(sa, text, sizeof text);
    fuzz_must(strlen(text) < sizeof text);
    /* A path may hold what is not shown as it is, a scope has a name, v4 inside v6 is shown as v4. */
    if (sa->u.any.sa_family == AF_UNIX || strchr(text, '%') ||
        (sa->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&sa->u.v6.sin6_addr)))
        return;
    fuzz_must(mux__addr_parse(text, &addr) == CS_OK);
    fuzz_must(mux__addr_expand(&addr, again, &n) == CS_OK && n == 1);
    fuzz_must(again[0].len == sa->len && memcmp(&again[0].u, &sa->u, sa->len) == 0);
}

static void address(const char *text)
{
    struct mux__sockaddr all[MUX__ADDRS_MAX];
    struct mux__addr addr;
    bool far;
    cs_err err = mux__addr_parse(text, &addr);
    size_t n = 0;

    fuzz_must(err == CS_OK || err == CS_EINVAL);
    fuzz_must(mux_addr_check(text, &far) == err);
    if (err != CS_OK || addr.is_fd)
        return;
    err = mux__addr_expand(&addr, all, &n);
    fuzz_must(err == CS_OK || err == CS_AGAIN || err == CS_EINVAL);
    for (size_t i = 0; err == CS_OK && i < n; i++)
        read_again(&all[i]);
}

/* ---- Values ----------------------------------------------------------------------------------- */

static void values(char *text)
{
    cs_bytes rest = cs_str(text);
    uint64_t number;
    cs_pair pair;
    size_t len;
    int ms;

    fuzz_must(!tool_duration_ms(text, &ms) || ms > 0);
    fuzz_must(!tool_number(rest, 1000, &number) || number <= 1000);
    (void)tool_is_traceparent(rest);
    (void)gateway_is_utf8(rest);
    gateway_json_string(json_put, stderr, rest);
    gateway_json_member(json_put, stderr, "text", rest);
    while (tool_query_next(&rest, &pair))
        fuzz_must(pair.name.len + pair.value.len <= strlen(text));
    for (rest = cs_str(text); (len = gateway_utf8_len(rest)) > 0;)
        rest = cs_bytes_of((const char *)rest.base + len, rest.len - len);
}

/* ---- `chanserv serve` ------------------------------------------------------------------------- */

/* A file that holds the text, for as long as it is open. */
static int file_of(cs_bytes text, char *path, size_t room)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    fuzz_must(fd >= 0 && write(fd, text.len ? text.base : "", text.len) == (ssize_t)text.len);
    snprintf(path, room, "/proc/self/fd/%d", fd);
    return fd;
}

static void configure(int argc, char **argv)
{
    struct serve_config *config = calloc(1, sizeof *config);
    struct chanserv_server_options options;
    bool help;

    fuzz_must(config != NULL);
    if (config_parse(config, argc, argv, &help) == 0 && !help) {
        config->cert.text = NULL; /* it would be read */
        (void)config_check(config);
        options = config_options(config);
        fuzz_must(options.loops >= 0 && options.loops <= 255);
    }
    config_fini(config);
    free(config);
}

static void config_file(cs_bytes text)
{
    char path[64], serve[] = "serve", option[] = "--config";
    char *argv[] = {serve, option, path, NULL};
    int fd = file_of(text, path, sizeof path);

    configure(3, argv);
    close(fd);
}

/* A word a line; none that names a file to be read. */
static void command_line(char *text)
{
    char serve[] = "serve", *argv[WORDS + 1] = {serve}, *word, *rest = text;
    int argc = 1;

    while (argc < WORDS && (word = strsep(&rest, "\n")))
        if (strncmp(word, "--conf", 6) != 0)
            argv[argc++] = word;
    argv[argc] = NULL;
    configure(argc, argv);
}

/* ---- Who may do what -------------------------------------------------------------------------- */

static void judge(const struct auth *auth, const char *token)
{
    static const cs_bytes sans[] = {{"DNS:a.example", 13}, {"URI:spiffe://x/y", 16}};
    char why[CHANSERV_WHY_MAX] = "";
    const cs_pair metadata[] = {{cs_str("authorization"), cs_str(token)}};
    const struct mux_peer peer = {
        .addr = cs_str("unix:/x"), .uid = 0, .tls_sans = sans, .tls_sans_len = 2};
    const struct chanserv_request request = {.verb = CHANSERV_POST,
                                             .service = cs_str("a.b"),
                                             .why = why,
                                             .peer = &peer,
                                             .metadata = metadata,
                                             .metadata_len = 1};
    const cs_err err = auth_judge(&request, (void *)(uintptr_t)auth);

    fuzz_must(err == CS_OK || err == CS_EAUTH || err == CS_EPERM);
    fuzz_must(strlen(why) < sizeof why);
}

static void rules(cs_bytes all, const char *text)
{
    struct auth *auth = auth_new();
    char path[64], why[WHY];
    int fd = file_of(all, path, sizeof path);

    fuzz_must(auth != NULL);
    (void)auth_read_tokens(auth, path, why, sizeof why);
    judge(auth, text);
    (void)auth_add_san(auth, text, why, sizeof why);
    if (text[0] >= '0' && text[0] <= '9') /* a name would be looked up */
        (void)auth_add_uid(auth, text, why, sizeof why);
    judge(auth, "Bearer token");
    auth_free(auth);
    close(fd);
}

/* ---- A run ------------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static FILE *nowhere;
    struct fuzz_in in = {bytes, len};
    const uint8_t which = fuzz_byte(&in);
    const cs_bytes all = fuzz_take(&in, TEXT);
    char text[TEXT + 1];
    FILE *was = stderr;

    if (!nowhere)
        fuzz_must((nowhere = fopen("/dev/null", "we")) != NULL);
    if (all.len > 0)
        memcpy(text, all.base, all.len);
    text[all.len] = '\0';
    stderr = nowhere; /* complaints are many */
    if (which % 5 == 0)
        address(text);
    else if (which % 5 == 1)
        values(text);
    else if (which % 5 == 2)
        config_file(all);
    else if (which % 5 == 3)
        command_line(text);
    else
        rules(all, text);
    stderr = was;
    return 0;
}
