/* The kinds "exec" and "exec-uplink", with real processes: server and client share one loop and no
 * socket. */
#include "tools/kind.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only a test that fails waits so long. */
enum { PATIENCE_MS = 20000, OUT = 0, ERR = 1 };

struct shell {
    const struct tool_kind *kind;
    cs_loop *loop;
    void *service;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    chanserv_source *source[2]; /* NULL: over */
    char text[2][4096];         /* what they said, its beginning */
    size_t len[2];              /* all of it */
    cs_err why[2], feed_why;
    int over; /* of the three: two sources and the feed */
};

/* ---- A shell, from its service to its end ---------------------------------------------------- */

static void shell_new_with(struct shell *s, const struct tool_kind *kind, const char *command,
                           const struct chanserv_server_options *options)
{
    char why[256] = "";

    memset(s, 0, sizeof *s);
    signal(SIGPIPE, SIG_IGN);
    s->kind = kind;
    cr_assert_eq(cs_loop_new(NULL, &s->loop), CS_OK);
    cr_assert_eq(kind->open(s->loop, command, &s->service, why, sizeof why), CS_OK);
    cr_assert_eq(chanserv_server_new(s->loop, options, &s->server), CS_OK);
    cr_assert_eq(chanserv_serve(s->server, "shell", kind->post, s->service), CS_OK);
    cr_assert_eq(chanserv_client_new(s->loop, NULL, &s->client), CS_OK);
    cr_assert_eq(chanserv_join_local(s->client, s->server), CS_OK);
}

static void shell_new(struct shell *s, const char *command)
{
    shell_new_with(s, &tool_kind_exec, command, NULL);
}

static void no_child_is_left(void)
{
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

static void shell_free(struct shell *s)
{
    if (s->set)
        chanserv_set_free(s->set);
    chanserv_client_free(s->client);
    chanserv_server_free(s->server);
    s->kind->close(s->service);
    cs_loop_free(s->loop);
    no_child_is_left();
}

static void post_with(struct shell *s, cs_bytes body, const struct chanserv_post_options *options)
{
    cr_assert_eq(chanserv_lookup_and_post(s->client, "shell", body, options, &s->feed), CS_OK);
    cr_assert_eq(chanserv_set_new(s->client, &s->set), CS_OK);
    cr_assert_eq(chanserv_set_add_feed(s->set, s->feed), CS_OK);
}

static int which(const struct shell *s, const chanserv_source *source)
{
    return s->source[OUT] == source ? OUT : ERR;
}

static bool is_wanted(const char *only, cs_bytes header)
{
    return !only || cs_same(header, cs_str(only));
}

/* The next thing that happens; false when nothing can any more. */
static bool step(struct shell *s, const char *only)
{
    struct chanserv_event ev;
    cs_err err = chanserv_select(s->set, PATIENCE_MS, &ev);
    int i;

    if (err == CS_DONE)
        return false;
    cr_assert_eq(err, CS_OK, "nothing happens");
    switch (ev.kind) {
    case CHANSERV_SOURCE:
        i = cs_same(chanserv_source_header(ev.source), cs_str("stderr"));
        s->source[i] = ev.source;
        if (is_wanted(only, chanserv_source_header(ev.source)))
            cr_assert_eq(chanserv_set_add_source(s->set, ev.source), CS_OK);
        break;
    case CHANSERV_FRAME:
        i = which(s, ev.source);
        for (size_t j = 0; j < ev.frame.len && s->len[i] + j + 1 < sizeof s->text[i]; j++)
            s->text[i][s->len[i] + j] = ((const char *)ev.frame.base)[j];
        s->len[i] += ev.frame.len;
        break;
    case CHANSERV_SOURCE_END:
        i = which(s, ev.source);
        s->why[i] = ev.why;
        s->source[i] = NULL;
        s->over++;
        break;
    default:
        s->feed_why = ev.why;
        s->over++;
    }
    return true;
}

static void run_only(struct shell *s, const char *only)
{
    while (step(s, only))
        continue;
}

/* Posts, reads all there is, and both sources end well. */
static void run(struct shell *s, const char *body)
{
    post_with(s, cs_str(body), NULL);
    run_only(s, NULL);
    cr_assert_eq(s->why[OUT], CS_DONE);
    cr_assert_eq(s->why[ERR], CS_DONE);
}

static void trailer_is(const struct shell *s, const char *name, const char *value)
{
    cs_bytes is = chanserv_feed_trailer(s->feed, name);

    cr_assert(cs_same(is, cs_str(value)), "%s: '%.*s'", name, (int)is.len,
              is.len ? (const char *)is.base : "");
}

/* Reads until standard output has said a line, a number. */
static pid_t number_said(struct shell *s)
{
    while (!strchr(s->text[OUT], '\n'))
        cr_assert(step(s, NULL));
    return atoi(s->text[OUT]);
}

/* A zombie is gone, too: init has not come to it yet. */
static bool is_gone(pid_t pid)
{
    char path[64], line[256] = "", *state;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (!f)
        return true;
    state = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    return !state || state[2] == 'Z';
}

/* Turns the loop until it is gone. */
static void goes(struct shell *s, pid_t pid)
{
    int64_t until = cs_loop_now_ms(s->loop) + PATIENCE_MS;
    cs_chan *never;
    chanserv_set *set;
    struct chanserv_event ev;

    cr_assert_gt(pid, 1);
    cr_assert_eq(cs_chan_new(1, &never), CS_OK);
    cr_assert_eq(chanserv_set_new(s->client, &set), CS_OK);
    cr_assert_eq(chanserv_set_add_chan(set, never), CS_OK);
    while (!is_gone(pid)) {
        cr_assert_lt(cs_loop_now_ms(s->loop), until, "process %d lives", (int)pid);
        cr_assert_eq(chanserv_select(set, 10, &ev), CS_AGAIN);
    }
    chanserv_set_free(set);
    cs_chan_free(never);
}

/* ---- Its exit ------------------------------------------------------------------------------- */

Test(exec, output_and_errors_are_two_sources)
{
    struct shell s;

    shell_new(&s, "echo out; echo err >&2");
    run(&s, "");
    cr_assert_str_eq(s.text[OUT], "out\n");
    cr_assert_str_eq(s.text[ERR], "err\n");
    cr_assert_eq(s.feed_why, CS_DONE);
    trailer_is(&s, "exit-status", "0");
    shell_free(&s);
}

Test(exec, the_exit_status_is_the_status_of_the_post)
{
    struct shell s;

    shell_new(&s, "echo out; exit 3");
    run(&s, "");
    cr_assert_str_eq(s.text[OUT], "out\n");
    cr_assert_eq(s.feed_why, CS_EUNKNOWN);
    cr_assert_str_eq(chanserv_feed_errmsg(s.feed), "post shell: UNKNOWN: exit status 3");
    trailer_is(&s, "exit-status", "3");
    trailer_is(&s, "exit-signal", "");
    shell_free(&s);
}

Test(exec, so_is_the_signal_that_killed_it)
{
    struct shell s;

    shell_new(&s, "kill -9 $$");
    run(&s, "");
    cr_assert_eq(s.feed_why, CS_EUNKNOWN);
    cr_assert_str_eq(chanserv_feed_errmsg(s.feed),
                     "post shell: UNKNOWN: killed by signal 9 (Killed)");
    trailer_is(&s, "exit-signal", "9");
    trailer_is(&s, "exit-status", "");
    shell_free(&s);
}

Test(exec, a_command_that_does_not_exist_is_127)
{
    struct shell s;

    shell_new(&s, "/nonexistent/command");
    run(&s, "");
    cr_assert(strstr(s.text[ERR], "not found") || strstr(s.text[ERR], "No such file"));
    trailer_is(&s, "exit-status", "127");
    shell_free(&s);
}

Test(exec, a_command_is_wanted)
{
    char why[256] = "";
    void *service;

    cr_assert_eq(tool_kind_exec.open(NULL, "", &service, why, sizeof why), CS_EINVAL);
    cr_assert_str_eq(why, "wants a command: exec:COMMAND");
    cr_assert_eq(tool_kind_exec_uplink.open(NULL, NULL, &service, why, sizeof why), CS_EINVAL);
    cr_assert_str_eq(why, "wants a command: exec-uplink:COMMAND");
}

/* ---- What goes in --------------------------------------------------------------------------- */

static char *letters(size_t len)
{
    char *text = malloc(len + 1);

    cr_assert_not_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

Test(exec, the_body_is_its_standard_input)
{
    struct shell s;
    char *body = letters(3000000);

    shell_new(&s, "wc -c");
    run(&s, body);
    cr_assert_eq(atoi(s.text[OUT]), 3000000, "%s", s.text[OUT]);
    shell_free(&s);
    free(body);
}

Test(exec, it_comes_out_again_while_it_goes_in)
{
    struct shell s;
    char *body = letters(3000000);

    shell_new(&s, "cat");
    run(&s, body);
    cr_assert_eq(s.len[OUT], 3000000);
    shell_free(&s);
    free(body);
}

Test(exec, a_command_that_does_not_read_it_is_no_trouble)
{
    struct shell s;
    char *body = letters(3000000);

    shell_new(&s, "exec <&-; echo done");
    run(&s, body);
    cr_assert_str_eq(s.text[OUT], "done\n");
    cr_assert_eq(s.feed_why, CS_DONE);
    shell_free(&s);
    free(body);
}

Test(exec, what_comes_from_the_network_is_no_command)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const struct cs_pair metadata[] = {{cs_str("traceparent"), cs_str(parent)}};
    const struct chanserv_post_options options = {.bucket =
                                                      cs_str("$(echo 1)`echo 2`; echo 3 #'\""),
                                                  .metadata = metadata,
                                                  .metadata_len = 1};
    struct shell s;

    shell_new(&s, "printf '%s|%s|%s|%s' \"$CHANSERV_SERVICE\" \"$CHANSERV_BUCKET\" "
                  "\"$CHANSERV_PEER\" \"$TRACEPARENT\"");
    post_with(&s, cs_str("exit 1"), &options);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "shell|$(echo 1)`echo 2`; echo 3 #'\"|local|"
                                  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    cr_assert_eq(s.feed_why, CS_DONE);
    shell_free(&s);
}

Test(exec, our_own_trace_and_manager_are_not_the_commands)
{
    const struct cs_pair metadata[] = {{cs_str("traceparent"), cs_str("nonsense")}};
    const struct chanserv_post_options options = {.metadata = metadata, .metadata_len = 1};
    struct shell s;

    setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 1);
    setenv("CHANSERV_BUCKET", "ours", 1);
    setenv("NOTIFY_SOCKET", "/run/notify", 1);
    setenv("KEPT", "yes", 1);
    shell_new(&s, "echo ${TRACEPARENT-none} ${CHANSERV_BUCKET-none} ${NOTIFY_SOCKET-none} $KEPT");
    post_with(&s, cs_str(""), &options);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "none none none yes\n");
    shell_free(&s);
}

Test(exec, its_signals_and_descriptors_are_those_of_a_fresh_process)
{
    sigset_t set;
    struct shell s;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    shell_new(&s, "trap 'echo told' TERM; kill $$; yes | head -n 1; "
                  "for fd in /proc/$$/fd/*; do case $(readlink $fd) in *event*|*socket*) "
                  "echo $fd;; esac; done");
    run(&s, "");
    cr_assert_str_eq(s.text[OUT], "told\ny\n");
    cr_assert_str_eq(s.text[ERR], ""); /* "yes: standard output: Broken pipe" */
    shell_free(&s);
}

/* ---- Who does not read ---------------------------------------------------------------------- */

Test(exec, a_reader_that_leaves_breaks_the_pipe)
{
    struct shell s;

    shell_new(&s, "sh -c 'kill -PIPE $$' & wait $!; echo $? >&2; sh -c 'yes'; echo $? >&2");
    post_with(&s, cs_str(""), NULL);
    while (s.len[OUT] == 0)
        cr_assert(step(&s, NULL));
    chanserv_source_cancel(s.source[OUT]);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[ERR], "141\n141\n"); /* 128 + SIGPIPE, both */
    cr_assert_eq(s.feed_why, CS_DONE);
    shell_free(&s);
}

Test(exec, what_nobody_opens_in_time_is_thrown_away)
{
    const struct chanserv_server_options options = {.accept_timeout_ms = 50};
    struct shell s;

    shell_new_with(&s, &tool_kind_exec, "head -c 1000000 /dev/zero >&2 && echo done", &options);
    post_with(&s, cs_str(""), NULL);
    run_only(&s, "stdout");
    cr_assert_str_eq(s.text[OUT], "done\n");
    cr_assert_eq(s.feed_why, CS_DONE);
    shell_free(&s);
}

Test(exec, what_an_exited_command_said_can_be_read_later)
{
    struct shell s;

    shell_new(&s, "echo out; echo err >&2");
    post_with(&s, cs_str(""), NULL);
    while (s.over == 0) /* the post's end */
        cr_assert(step(&s, "none"));
    for (int i = 0; i < 2; i++)
        cr_assert_eq(chanserv_set_add_source(s.set, s.source[i]), CS_OK);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "out\n");
    cr_assert_str_eq(s.text[ERR], "err\n");
    shell_free(&s);

    shell_new(&s, "exit 0"); /* nothing */
    post_with(&s, cs_str(""), NULL);
    while (s.over == 0)
        cr_assert(step(&s, "none"));
    cr_assert_eq(chanserv_set_add_source(s.set, s.source[OUT]), CS_OK);
    run_only(&s, NULL);
    cr_assert_eq(s.why[OUT], CS_DONE);
    shell_free(&s);
}

Test(exec, until_then_it_stops_the_command)
{
    struct shell s;
    struct chanserv_event ev;

    shell_new(&s, "head -c 1000000 /dev/zero >&2 && echo done");
    post_with(&s, cs_str(""), NULL);
    while (!s.source[ERR])
        cr_assert(step(&s, "stdout"));
    cr_assert_eq(chanserv_select(s.set, 300, &ev), CS_AGAIN);
    cr_assert_eq(chanserv_set_add_source(s.set, s.source[ERR]), CS_OK);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "done\n");
    cr_assert_eq(s.len[ERR], 1000000);
    shell_free(&s);
}

/* ---- Given up ------------------------------------------------------------------------------- */

#define FAMILY "sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & echo $!; wait"

Test(exec, a_client_that_leaves_ends_the_whole_group)
{
    struct shell s;
    pid_t grandchild;

    shell_new(&s, FAMILY);
    post_with(&s, cs_str(""), NULL);
    grandchild = number_said(&s);
    chanserv_feed_cancel(s.feed);
    goes(&s, grandchild);
    run_only(&s, NULL);
    cr_assert_eq(s.feed_why, CS_ECANCELED);
    cr_assert_eq(s.why[OUT], CS_ECANCELED);
    shell_free(&s);
}

Test(exec, output_that_was_cut_short_does_not_end_well)
{
    struct shell s;
    chanserv_source *kept;
    cs_bytes frame;

    shell_new(&s, "echo here; sleep 1000");
    cr_assert_eq(chanserv_lookup_and_post(s.client, "shell", cs_str(""), NULL, &s.feed), CS_OK);
    cr_assert(chanserv_range_source(s.feed, &kept));
    kept = chanserv_source_keep(kept);
    cr_assert(chanserv_range_frame(kept, &frame));
    chanserv_feed_cancel(s.feed); /* and its sources, but not this one */
    cr_assert_not(chanserv_range_frame(kept, &frame));
    cr_assert_eq(chanserv_source_status(kept), CS_ECANCELED);
    cr_assert(strstr(chanserv_source_errmsg(kept), "the command was ended"), "%s",
              chanserv_source_errmsg(kept));
    chanserv_source_close(kept);
    shell_free(&s);
}

Test(exec, the_deadline_does_too)
{
    const struct chanserv_post_options options = {.timeout_ms = 300};
    struct shell s;
    pid_t grandchild;

    shell_new(&s, FAMILY);
    post_with(&s, cs_str(""), &options);
    grandchild = number_said(&s);
    run_only(&s, NULL);
    cr_assert_eq(s.feed_why, CS_ETIMEOUT);
    goes(&s, grandchild);
    shell_free(&s);
}

Test(exec, who_does_not_heed_sigterm_is_killed_later)
{
    struct shell s;
    int64_t began;
    pid_t pid;

    shell_new(&s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    post_with(&s, cs_str(""), NULL);
    pid = number_said(&s);
    began = cs_loop_now_ms(s.loop);
    chanserv_feed_cancel(s.feed);
    goes(&s, pid);
    cr_assert_geq(cs_loop_now_ms(s.loop) - began, 1900);
    shell_free(&s);
}

/* He says who he is when he heeds it no more. */
#define STUBBORN "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & wait"

Test(exec, so_is_he_when_only_his_parent_heeded_it)
{
    struct shell s;
    pid_t pid;

    shell_new(&s, STUBBORN);
    post_with(&s, cs_str(""), NULL);
    pid = number_said(&s);
    chanserv_feed_cancel(s.feed);
    goes(&s, pid);
    shell_free(&s);
}

Test(exec, what_is_stopped_goes_too)
{
    struct shell s;
    pid_t pid;

    shell_new(&s, "trap 'exit 0' TERM; echo $$; kill -STOP $$");
    post_with(&s, cs_str(""), NULL);
    pid = number_said(&s);
    chanserv_feed_cancel(s.feed);
    goes(&s, pid);
    shell_free(&s);
}

Test(exec, a_command_that_exits_leaves_nothing_running)
{
    struct shell s;
    pid_t pid;

    shell_new(&s, "sleep 1000 & echo $!");
    post_with(&s, cs_str(""), NULL);
    pid = number_said(&s);
    run_only(&s, NULL);
    cr_assert_eq(s.feed_why, CS_DONE);
    cr_assert_eq(s.why[OUT], CS_DONE); /* which sleep held open */
    goes(&s, pid);
    shell_free(&s);
}

Test(exec, a_server_that_stops_ends_all_of_them)
{
    struct shell s;
    pid_t grandchild;

    shell_new(&s, FAMILY);
    post_with(&s, cs_str(""), NULL);
    grandchild = number_said(&s);
    shell_free(&s);
    cr_assert(is_gone(grandchild));
}

Test(exec, even_those_that_do_not_heed_sigterm)
{
    struct shell s;
    pid_t pid;

    shell_new(&s, STUBBORN);
    post_with(&s, cs_str(""), NULL);
    pid = number_said(&s);
    shell_free(&s);
    cr_assert(is_gone(pid));
}

static size_t descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    cr_assert_not_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Of every other nobody opens standard error, which waits for that without a descriptor. */
Test(exec, a_server_with_no_room_for_both_sources_says_so_and_runs_nothing_on)
{
    const struct chanserv_server_options options = {.post_sources_max = 1};
    struct shell s;

    shell_new_with(&s, &tool_kind_exec, "cat", &options);
    post_with(&s, cs_str("body"), NULL);
    run_only(&s, NULL);
    cr_assert_eq(s.feed_why, CS_ELIMIT);
    cr_assert(strstr(chanserv_feed_errmsg(s.feed), "no room for its sources"));
    shell_free(&s);
}

Test(exec, a_thousand_posts_leave_nothing)
{
    struct shell s;
    size_t before;

    shell_new(&s, "read -r line; exit 1");
    before = descriptors();
    for (int i = 0; i < 1000; i++) {
        post_with(&s, cs_str("body"), NULL);
        run_only(&s, i % 2 ? NULL : "stdout");
        cr_assert_eq(s.feed_why, CS_EUNKNOWN);
        chanserv_set_free(s.set);
        chanserv_feed_close(s.feed);
    }
    s.set = NULL;
    no_child_is_left();
    cr_assert_leq(descriptors(), before);
    shell_free(&s);
}

/* ---- The uplink ----------------------------------------------------------------------------- */

static void uplink_new(struct shell *s, const char *command, const char *body)
{
    shell_new_with(s, &tool_kind_exec_uplink, command, NULL);
    post_with(s, cs_str(body), NULL);
    while (!s->source[OUT] || !s->source[ERR])
        cr_assert(step(s, NULL));
    cr_assert(cs_same(chanserv_source_header(s->source[OUT]), cs_str("stdio")));
}

static void say(struct shell *s, const char *text)
{
    cr_assert_eq(chanserv_source_send(s->source[OUT], cs_str(text), PATIENCE_MS), CS_OK);
}

static void hear(struct shell *s, const char *text)
{
    while (!strstr(s->text[OUT], text))
        cr_assert(step(s, NULL));
}

Test(exec_uplink, is_a_conversation)
{
    struct shell s;

    uplink_new(&s, "while read -r a; do echo \"<$a>\"; done; exit 4", "body\n");
    hear(&s, "<body>\n");
    say(&s, "one\n");
    hear(&s, "<body>\n<one>\n");
    say(&s, "tw");
    say(&s, "");
    say(&s, "o\n");
    hear(&s, "<two>\n");
    chanserv_source_finish(s.source[OUT]);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "<body>\n<one>\n<two>\n");
    cr_assert_eq(s.why[OUT], CS_DONE);
    trailer_is(&s, "exit-status", "4");
    shell_free(&s);
}

Test(exec_uplink, lasts_as_long_as_the_command)
{
    struct shell s;
    char *text = letters(300000);

    uplink_new(&s, "exec wc -c >&2", "");
    say(&s, text);
    say(&s, text);
    chanserv_source_finish(s.source[OUT]);
    run_only(&s, NULL);
    cr_assert_eq(atoi(s.text[ERR]), 600000, "%s", s.text[ERR]);
    cr_assert_eq(s.why[OUT], CS_DONE);
    shell_free(&s);
    free(text);
}

Test(exec_uplink, a_command_that_does_not_read_stops_the_sender)
{
    struct shell s;
    char *text = letters(60000);
    size_t sent = 0;
    pid_t pid;
    cs_err err;

    uplink_new(&s, "echo $$; sleep 1000", "");
    pid = number_said(&s);
    while ((err = chanserv_source_send(s.source[OUT], cs_str(text), 300)) == CS_OK)
        cr_assert_lt(++sent, 200, "where does it all go?");
    cr_assert_eq(err, CS_AGAIN);
    chanserv_feed_cancel(s.feed);
    goes(&s, pid);
    shell_free(&s);
    free(text);
}

Test(exec_uplink, one_that_closed_its_input_does_not)
{
    struct shell s;
    char *text = letters(60000);

    uplink_new(&s, "exec <&-; echo closed; while [ ! -e /proc/self/nonesuch ]; do sleep 1000; done",
               "");
    hear(&s, "closed\n");
    for (int i = 0; i < 200; i++)
        say(&s, text);
    shell_free(&s);
    free(text);
}

Test(exec_uplink, a_reader_without_one_is_end_of_file)
{
    struct shell s;

    uplink_new(&s, "cat", "body");
    chanserv_source_finish(s.source[OUT]);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[OUT], "body");
    cr_assert_eq(s.feed_why, CS_DONE);
    shell_free(&s);
}

Test(exec_uplink, a_reader_that_leaves_is_end_of_file_and_a_broken_pipe)
{
    struct shell s;

    uplink_new(&s, "echo here; cat; echo $? >&2", "");
    hear(&s, "here\n");
    chanserv_source_cancel(s.source[OUT]);
    run_only(&s, NULL);
    cr_assert_str_eq(s.text[ERR], "0\n");
    shell_free(&s);
}

/* ---- Without memory ------------------------------------------------------------------------- */

/* Whatever fails, the story ends, and no process is left.  A reader that could not open stdio must
 * be given up before the command sees an end of file. */
static bool tell(struct shell *s, const struct tool_kind *kind)
{
    const struct chanserv_server_options options = {.accept_timeout_ms = 10};
    struct chanserv_event ev;
    char why[256] = "";
    cs_err err;

    s->kind = kind;
    if (cs_loop_new(NULL, &s->loop) != CS_OK ||
        kind->open(s->loop, "read -r line; exit 3", &s->service, why, sizeof why) != CS_OK ||
        chanserv_server_new(s->loop, &options, &s->server) != CS_OK ||
        chanserv_serve(s->server, "shell", kind->post, s->service) != CS_OK ||
        chanserv_client_new(s->loop, NULL, &s->client) != CS_OK ||
        chanserv_join_local(s->client, s->server) != CS_OK ||
        chanserv_lookup_and_post(s->client, "shell", cs_str("body"), NULL, &s->feed) != CS_OK ||
        chanserv_set_new(s->client, &s->set) != CS_OK ||
        chanserv_set_add_feed(s->set, s->feed) != CS_OK)
        return false;
    while ((err = chanserv_select(s->set, PATIENCE_MS, &ev)) == CS_OK) {
        if (ev.kind == CHANSERV_FEED_END)
            s->feed_why = ev.why;
        if (ev.kind != CHANSERV_SOURCE)
            continue;
        chanserv_source_finish(ev.source);
        if (chanserv_set_add_source(s->set, ev.source) != CS_OK)
            return false;
    }
    cr_assert_neq(err, CS_AGAIN, "it waits for ever");
    return err == CS_DONE;
}

static void story_of(const struct tool_kind *kind)
{
    struct shell s = {.loop = NULL};

    if (!tell(&s, kind))
        cr_assert(failing_failed());
    else
        cr_assert(s.feed_why == CS_EUNKNOWN || failing_failed());
    if (s.set)
        chanserv_set_free(s.set);
    if (s.client)
        chanserv_client_free(s.client);
    if (s.server)
        chanserv_server_free(s.server);
    if (s.service)
        kind->close(s.service);
    if (s.loop)
        cs_loop_free(s.loop);
    no_child_is_left();
}

static void exec_story(void)
{
    story_of(&tool_kind_exec);
}

static void uplink_story(void)
{
    story_of(&tool_kind_exec_uplink);
}

Test(exec, survives_every_failed_allocation)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert_geq(failing_story(exec_story), 50);
}

Test(exec_uplink, survives_every_failed_allocation)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert_geq(failing_story(uplink_story), 50);
}
