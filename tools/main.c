/* chanserv(1) -- the command: a table of subcommands, a file each. */
#include "tools/tool.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static const struct tool_command *const commands[] = {&tool_serve,    &tool_post, &tool_talk,
                                                      &tool_services, &tool_meet, &tool_stat,
                                                      &tool_top,      &tool_rtt,  &tool_bench};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void put_usage(FILE *to)
{
    fputs("Usage: chanserv COMMAND [ARGUMENT]...\n"
          "Channels of channels over HTTP/2 (gRPC on the wire).\n"
          "\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-16s%s\n", commands[i]->name, commands[i]->line);
    fputs("  help [COMMAND]  this text, or that of a command\n"
          "  help exit       the exit codes\n"
          "\n"
          "  --version       the version\n"
          "  --help          this text; behind a command, that of the command\n",
          to);
}

static const struct tool_command *command_of(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    }
    return NULL;
}

static int help(int argc, char **argv)
{
    const struct tool_command *command;

    if (argc > 2)
        return tool_usage(NULL, "help takes one command, not %d", argc - 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        put_usage(stdout);
        return tool_close_stdout(NULL, 0);
    }
    if (strcmp(argv[1], "exit") == 0) {
        fputs(tool_exit_help, stdout);
        return tool_close_stdout(NULL, 0);
    }
    command = command_of(argv[1]);
    return command ? tool_help(command) : tool_usage(NULL, "there is no command '%s'", argv[1]);
}

/* Who closed them for us wants no output; but a socket of ours that got the number would get it.
 * Opened the wrong way round, so that using them fails as before. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
}

int main(int argc, char **argv)
{
    const struct tool_command *command;
    const char *name = argc > 1 ? argv[1] : "";

    hold_standard_files();
    /* Whom we write to may leave: write() tells. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        put_usage(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("chanserv %s\n", cs_version());
        return tool_close_stdout(NULL, 0);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    command = command_of(name);
    if (!command)
        return tool_usage(NULL, "there is no %s '%s'", name[0] == '-' ? "option" : "command", name);
    return command->run(argc - 1, argv + 1);
}
