/* top -- `chanserv top [ADDR]`: what runs on a server, the fastest first, once a second. */
#include "tools/loop_watch.h"
#include "tools/stat_ask.h"
#include "tools/top__in.h"

#include <stdlib.h>
#include <unistd.h>

enum { INTERVAL_MS = 1000 };

struct top {
    struct stat_ask ask;
    int interval_ms;
    bool once;
    struct top_view view;
    int64_t now_at_ms; /* when view.now came */
    bool asked;        /* it did */
    struct top_screen screen;
    struct tool_watch *keys;
    char *trouble;
    int code;
};

static const char help[] =
    "Usage: chanserv top [OPTION]... [ADDR]\n"
    "Show what runs on the server at ADDR, the fastest first, again every second.\n"
    "Keys: s sorts by something else, q ends.\n"
    "\n"
    "      --once                one table, and end; so it is too when the output is no terminal\n"
    "      --sort WHAT           bytes (of connections a second), frames (of sources a second;\n"
    "                            of posts announcements) or queued (bytes)\n"
    "      --interval DURATION   from one look to the next (1s)\n"
    "      --max N               so many of each of the server's loops (1000; at most 10000)\n"
    "\n"
    "An answer that takes longer than --timeout (5s) has failed.\n";

enum { ONCE = 256, SORT, INTERVAL, MAX };
static const struct option options[] = {{"once", no_argument, NULL, ONCE},
                                        {"sort", required_argument, NULL, SORT},
                                        {"interval", required_argument, NULL, INTERVAL},
                                        {"max", required_argument, NULL, MAX},
                                        {NULL, 0, NULL, 0}};

static int set_sort(struct top *top)
{
    for (int sort = 0; sort < TOP_SORTS; sort++) {
        if (strcmp(optarg, top_sort_names[sort]) != 0)
            continue;
        top->view.sort = (enum top_sort)sort;
        return 0;
    }
    return tool_usage("top", "--sort wants bytes, frames or queued, not '%s'", optarg);
}

static int set_option(void *command, int option)
{
    struct top *top = command;

    switch (option) {
    case ONCE:
        top->once = true;
        return 0;
    case SORT:
        return set_sort(top);
    case INTERVAL:
        if (tool_duration_ms(optarg, &top->interval_ms))
            return 0;
        return tool_usage("top", "--interval wants a time like 5s or 250ms, not '%s'", optarg);
    default:
        return stat_ask_set_max(&top->ask);
    }
}

/* ---- What is seen --------------------------------------------------------------------------- */

static void end(struct top *top, int code)
{
    top->code = code;
    cs_loop_stop(top->ask.loop);
}

/* All of it at once, so that nothing flickers. */
static void draw(struct top *top)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    cs_err err = CS_ENOMEM;

    if (top->screen.live)
        top_screen_size(&top->view.width, &top->view.height);
    if (to) {
        fputs(top->screen.live ? "\033[H" : "", to);
        err = top_put(to, &top->view);
        fputs(top->screen.live ? "\033[J" : "", to);
        if (fclose(to) != 0)
            err = CS_ENOMEM;
    }
    if (err == CS_OK)
        fwrite(text, 1, len, stdout);
    free(text);
    if (err != CS_OK)
        end(top, tool_exit_of(err));
    else if (fflush(stdout) != 0)
        end(top, 0);
}

static void answered(struct stat_list *list, void *user)
{
    struct top *top = user;
    const int64_t now = cs_loop_now_ms(top->ask.loop);

    stat_list_free(&top->view.before);
    top->view.before = top->view.now;
    top->view.now = *list;
    *list = (struct stat_list){.left = 0};
    top->view.apart_ms = top->asked && now > top->now_at_ms ? now - top->now_at_ms : 0;
    top->now_at_ms = now;
    top->view.trouble = NULL;
    if (top->screen.live || top->asked)
        draw(top);
    if (top->asked && !top->screen.live)
        end(top, 0);
    else
        stat_ask_again(&top->ask, top->interval_ms);
    top->asked = true;
}

/* Who looks on sees why, and that he is back. */
static void failed(cs_err why, const char *words, void *user)
{
    struct top *top = user;

    if (!top->asked || !top->screen.live) {
        top_screen_end(&top->screen);
        top->screen.live = top->screen.keys = false;
        tool_complain("top", "%s", words);
        end(top, tool_exit_of(why));
        return;
    }
    free(top->trouble);
    top->trouble = strdup(words);
    top->view.trouble = top->trouble ? top->trouble : cs_strerror(why);
    draw(top);
    stat_ask_again(&top->ask, top->interval_ms);
}

static void on_key(void *user)
{
    struct top *top = user;
    char key;

    if (read(STDIN_FILENO, &key, 1) <= 0) {
        tool_watch_free(top->keys);
        top->keys = NULL;
        return;
    }
    if (key == 'q')
        end(top, 0);
    if (key != 's')
        return;
    top->view.sort = (enum top_sort)((top->view.sort + 1) % TOP_SORTS);
    if (top->asked)
        draw(top);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void leave_screen(void *user)
{
    const struct stat_ask *ask = user;
    const struct top *top = ask->user;

    top_screen_end(&top->screen);
}

static int look(struct top *top)
{
    int code = stat_ask_start(&top->ask);
    cs_err err = CS_OK;

    if (code != 0)
        return code;
    top->view.addr = top->ask.addr;
    top->view.line_end = top->screen.live ? "\033[K\n" : "\n";
    top->ask.interrupt.hurry = leave_screen;
    top_screen_begin(&top->screen);
    if (top->screen.keys)
        err = tool_watch_new(top->ask.loop, STDIN_FILENO, on_key, top, &top->keys);
    code = err == CS_OK ? stat_ask_run(&top->ask) : tool_exit_of(err);
    top_screen_end(&top->screen);
    return code ? code : top->code;
}

static int run(int argc, char **argv)
{
    struct top top = {.ask = {.connect = {.command = &tool_top, .own = options},
                              .answered = answered,
                              .failed = failed,
                              .user = &top},
                      .view = {.width = SIZE_MAX, .height = SIZE_MAX},
                      .interval_ms = INTERVAL_MS};
    int code = stat_ask_parse(&top.ask, argc, argv, set_option);

    if (code == CONNECT_GO) {
        top.screen.live = !top.once && isatty(STDOUT_FILENO);
        interrupt_block();
        code = look(&top);
        tool_watch_free(top.keys);
        stat_list_free(&top.view.before);
        stat_list_free(&top.view.now);
        free(top.trouble);
        code = tool_close_stdout("top", code);
    }
    stat_ask_free(&top.ask);
    return code;
}

const struct tool_command tool_top = {.name = "top",
                                      .line = "the same, live, the fastest first",
                                      .help = help,
                                      .run = run,
                                      .client = true};
