/* What `chanserv serve` is told: values with their units, the file, and both together. */
#include "tools/serve_config.h"
#include "tools/tool.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <unistd.h>

static struct serve_config *config;
static char file[] = "/tmp/serve-config-test-XXXXXX";

static void up(void)
{
    int fd = mkstemp(file);

    cr_assert_geq(fd, 0);
    close(fd);
    config = calloc(1, sizeof *config);
    cr_redirect_stderr();
}

static void down(void)
{
    config_fini(config);
    free(config);
    unlink(file);
}

static void write_file(const char *text)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
}

/* `words`, up to a NULL, behind "serve". */
static int parse(const char *const *words)
{
    static char *argv[32];
    int argc = 1;
    bool help;

    argv[0] = (char[]){"serve"};
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    argv[argc] = NULL;
    return config_parse(config, argc, argv, &help);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static int parse_file(const char *text)
{
    write_file(text);
    return PARSE("--config", file);
}

/* All that was said, with FILE for the file's name. */
static void said(const char *want)
{
    FILE *err = cr_get_redirected_stderr();
    char text[4096], clean[4096] = "", *at = text, *name;
    size_t len;

    fflush(stderr);
    len = fread(text, 1, sizeof text - 1, err);
    text[len] = '\0';
    while ((name = strstr(at, file))) {
        *name = '\0';
        strcat(strcat(clean, at), "FILE");
        at = name + strlen(file);
    }
    cr_assert_str_eq(strcat(clean, at), want);
}

TestSuite(serve_config, .init = up, .fini = down);

Test(serve_config, the_gateway_has_names_and_origins)
{
    cr_assert_eq(PARSE("--hosts", "mq.example *.lan", "--cors=https://app.example"), 0);
    cr_assert_str_eq(config->hosts.text, "mq.example *.lan");
    cr_assert_str_eq(config->cors.text, "https://app.example");
    cr_assert_not(config->no_gateway || config->no_page);
    cr_assert_eq(parse_file("no-gateway = yes\nhosts = a\n"), 0);
    cr_assert(config->no_gateway && !config->no_page);
}

Test(serve_config, the_page_is_a_matter_of_its_own)
{
    cr_assert_eq(parse_file("no-page = yes\n"), 0);
    cr_assert(config->no_page && !config->no_gateway);
}

Test(serve_config, durations_sizes_and_numbers_have_units)
{
    cr_assert_eq(PARSE("--accept-timeout", "1.5s", "--frame-max=64KiB", "--posts-max", "7",
                       "--stall-timeout", "off", "--assembly", "3GiB", "--window", "65536",
                       "--sources-max", "off"),
                 0);
    cr_assert_eq(config->options.accept_timeout_ms, 1500);
    cr_assert_eq(config->options.frame_max_bytes, 65536);
    cr_assert_eq(config->options.posts_max, 7);
    cr_assert_eq(config->options.net.stall_timeout_ms, CS_OFF);
    cr_assert_eq(config->options.assembly_bytes, (int64_t)3 << 30);
    cr_assert_eq(config->options.net.window_bytes, 65536);
    cr_assert_eq(config->options.sources_max, CS_OFF);
    cr_assert_eq(config->options.body_max_bytes, 0, "the default");
}

Test(serve_config, a_busy_poll_is_short)
{
    cr_assert_eq(PARSE("--busy-poll", "70us"), 0);
    cr_assert_eq(config->options.busy_poll_us, 70);
    cr_assert_eq(PARSE("--busy-poll", "10ms"), 0);
    cr_assert_eq(config->options.busy_poll_us, 10000);
    cr_assert_eq(PARSE("--busy-poll=off"), 0);
    cr_assert_eq(config->options.busy_poll_us, CS_OFF);
}

Test(serve_config, a_busy_poll_has_bounds_and_a_unit)
{
    static const char *const bad[] = {"0us", "1s", "11ms", "10001us", "50", "us"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(PARSE("--busy-poll", bad[i]), TOOL_USAGE, "%s", bad[i]);
}

Test(serve_config, of_a_wrong_busy_poll_it_is_said_what_is_wanted)
{
    cr_assert_eq(parse_file("busy-poll = 50\n"), TOOL_USAGE);
    said("chanserv serve: FILE:1: busy-poll wants a time (50us, 1ms, at most 10ms) or off, not "
         "'50'\n");
}

static bool is_duration(const char *name)
{
    return strstr(name, "timeout") || strstr(name, "interval") || strcmp(name, "grace") == 0 ||
           strcmp(name, "connection-age") == 0 || strcmp(name, "linger") == 0 ||
           strcmp(name, "http-linger") == 0;
}

Test(serve_config, every_limit_is_one_of_the_table_and_no_two_go_to_one_place)
{
    /* Each is given a value of its own, and each of them is in a place of its own. */
    char text[8192] = "", *at = text;
    int64_t first = 0, n = 0;

    bool behind = false;

    for (size_t i = 0; config_name(i); i++) {
        if (behind)
            at += sprintf(at, "%s = %lld%s\n", config_name(i), (long long)++n,
                          is_duration(config_name(i)) ? "ms" : "");
        behind = behind || strcmp(config_name(i), "verbose") == 0;
    }
    cr_assert_eq(parse_file(text), 0);
    const struct chanserv_server_options *o = &config->options;
    const int64_t values[] = {o->serving_timeout_ms,
                              o->sourcing_timeout_ms,
                              o->write_timeout_ms,
                              o->linger_ms,
                              o->grace_ms,
                              o->net.connection_age_ms,
                              o->inline_max_bytes,
                              o->part_bytes,
                              o->body_max_bytes,
                              o->header_max_bytes,
                              o->net.window_bytes,
                              o->net.window_max_bytes,
                              o->net.ping_interval_ms,
                              o->net.ping_timeout_ms,
                              config->meets.waiters_max,
                              config->meets.waiting_max_bytes,
#define ROW(X, option, ...) o->option,
                              CHANSERV_LIMITS(ROW, )
#undef ROW
#define ROW(X, option, ...) o->net.option,
                                  MUX_LIMITS(ROW, )
#undef ROW
#define ROW(X, option, ...) config->http.option,
                                      GATEWAY_LIMITS(ROW, )
#undef ROW
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        cr_assert_eq(values[i], ++first, "the %lldth", (long long)first);
    cr_assert_eq(first, n);
}

Test(serve_config, a_value_that_makes_no_sense_is_told_with_what_would)
{
    cr_assert_eq(parse_file("posts-max = 0\nframe-max = 1XB\naccept-timeout = soon\ngzip = maybe\n"
                            "node =\nframe-max = 1\nwindow = 9223372036854775807KiB\n"),
                 TOOL_USAGE);
    said("chanserv serve: FILE:1: posts-max wants a number from 1 up, or off, not '0'\n"
         "chanserv serve: FILE:2: frame-max wants a size (65536, 64KiB, 1MiB, 1GiB) or off, not "
         "'1XB'\n"
         "chanserv serve: FILE:3: accept-timeout wants a duration (5, 1.5s, 250ms, 2m, 1h) or off, "
         "not 'soon'\n"
         "chanserv serve: FILE:4: gzip wants yes or no, not 'maybe'\n"
         "chanserv serve: FILE:5: node has no value\n"
         "chanserv serve: FILE:6: frame-max stands in line 2 already\n"
         "chanserv serve: FILE:7: window wants a size (65536, 64KiB, 1MiB, 1GiB) or off, not "
         "'9223372036854775807KiB'\n");
}

Test(serve_config, lines_that_are_none_are_told)
{
    cr_assert_eq(parse_file("\n  # listen = no\n\tlisten\nlisen = :1\n= x\n"), TOOL_USAGE);
    said("chanserv serve: FILE:3: a line is NAME = VALUE, not 'listen'\n"
         "chanserv serve: FILE:4: there is no option 'lisen': see chanserv.conf(5), or chanserv "
         "help serve\n"
         "chanserv serve: FILE:5: there is no option '': see chanserv.conf(5), or chanserv help "
         "serve\n");
}

Test(serve_config, blanks_around_mean_nothing_and_inside_they_stay)
{
    cr_assert_eq(
        parse_file("  service\t=  x=exec:echo a # b = c \r\nlisten=[::1]:0\nverbose = yes"), 0);
    cr_assert_str_eq(config->service.items[0].text, "x=exec:echo a # b = c");
    cr_assert_eq(config->service.items[0].line, 1);
    cr_assert_str_eq(config->listen.items[0].text, "[::1]:0");
    cr_assert(config->verbose, "a last line needs no newline");
}

Test(serve_config, the_command_line_adds_to_lists_and_wins_over_the_rest)
{
    write_file("listen = :1\nservice = a=echo\nposts-max = 5\nnode = file\ngzip = no\n");
    cr_assert_eq(PARSE("--listen", ":2", "--posts-max", "6", "--config", file, "--gzip",
                       "--service", "b=echo"),
                 0);
    cr_assert_eq(config->listen.len, 2);
    cr_assert_str_eq(config->listen.items[0].text, ":1");
    cr_assert_str_eq(config->listen.items[1].text, ":2");
    cr_assert_eq(config->listen.items[1].line, 0);
    cr_assert_str_eq(config->service.items[1].text, "b=echo");
    cr_assert_eq(config->options.posts_max, 6);
    cr_assert_str_eq(config->node.text, "file");
    cr_assert(config->gzip);
}

Test(serve_config, files_that_cannot_be_read_are_told)
{
    cr_assert_eq(PARSE("--config", "/none/at/all"), TOOL_USAGE);
    cr_assert_eq(PARSE("--config", "a", "--config", "b"), TOOL_USAGE);
    said("chanserv serve: /none/at/all: No such file or directory\n"
         "chanserv serve: --config is given twice\n"
         "Try 'chanserv serve --help'.\n");
}

Test(serve_config, a_list_has_an_end)
{
    char *text = malloc(16 * (CONFIG_LIST_MAX + 1)), *at = text;

    for (int i = 0; i <= CONFIG_LIST_MAX; i++)
        at += sprintf(at, "listen = :1\n");
    cr_assert_eq(parse_file(text), TOOL_USAGE);
    cr_assert_eq(config->listen.len, CONFIG_LIST_MAX);
    free(text);
    said("chanserv serve: FILE:257: listen: more than 256 of them\n");
}

Test(serve_config, what_does_not_fit_together_is_told)
{
    cr_assert_eq(PARSE("--key", "k", "--client-ca", "c", "--service", "a=echo"), 0);
    cr_assert_eq(config_check(config), TOOL_USAGE);
    said("chanserv serve: --key is given, but no --cert\n"
         "Try 'chanserv serve --help'.\n"
         "chanserv serve: --client-ca is given, but no --cert\n"
         "Try 'chanserv serve --help'.\n");
}

Test(serve_config, names_and_origins_are_as_browsers_say_them)
{
    cr_assert_eq(PARSE("--service", "a=echo", "--hosts", " * *.lan  a.example", "--cors",
                       "* https://a.example:1  http://b"),
                 0);
    cr_assert_eq(config_check(config), 0);
    cr_assert_eq(parse_file("hosts = a.example b.example:1\ncors = https://a https://b/\n"), 0);
    cr_assert_eq(config_check(config), TOOL_USAGE);
    said("chanserv serve: FILE:1: hosts wants names without scheme and port, with spaces "
         "between, not 'b.example:1'\n"
         "chanserv serve: FILE:2: cors wants origins (https://app.example) or *, with spaces "
         "between, not 'https://b/'\n");
}

Test(serve_config, client_san_wants_certificates_of_clients)
{
    cr_assert_eq(parse_file("service = a=echo\nclient-san = DNS:x\ncert = c\n"), 0);
    cr_assert_eq(config_check(config), TOOL_USAGE);
    said("chanserv serve: FILE:3: tls: c: no such file or directory\n"
         "chanserv serve: FILE:2: client-san is given, but no client-ca\n");
}

Test(serve_config, a_check_knows_what_is_beyond_this_machine)
{
    cr_assert_eq(parse_file("service = a=echo\nlisten = 10.0.0.1:1\nlisten = localhost:2\n"), 0);
    cr_assert_eq(config_check(config), 0, "serving, the listener itself is asked");
    config->check = true;
    cr_assert_eq(config_check(config), TOOL_USAGE);
    config->insecure = true;
    cr_assert_eq(config_check(config), 0);
    config->insecure = false;
    config->cert.text = "c"; /* then it is TLS, but for the file */
    cr_assert_eq(config_check(config), TOOL_USAGE);
    said("chanserv serve: FILE:2: listen 10.0.0.1:1 is beyond this machine: it wants cert and key "
         "for TLS, or insecure for plain text\n"
         "chanserv serve: tls: c: no such file or directory\n"
         "Try 'chanserv serve --help'.\n");
}

Test(serve_config, every_option_is_in_the_help)
{
    char words[64];

    for (size_t i = 0; config_name(i); i++) {
        snprintf(words, sizeof words, "--%s", config_name(i));
        cr_assert(strstr(tool_serve.help, words) || strstr(tool_serve.more, words),
                  "chanserv serve --help has no %s", words);
    }
}
