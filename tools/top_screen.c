/* top_screen -- the terminal of `chanserv top`: the other screen, no cursor, keys as they are pressed. */
#include "tools/top__in.h"

#include <sys/ioctl.h>
#include <unistd.h>

static void say(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);

        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

void top_screen_begin(struct top_screen *screen)
{
    static const char begin[] = "\033[?1049h\033[?25l";
    struct termios raw;

    screen->keys = screen->live && tcgetattr(STDIN_FILENO, &screen->before) == 0;
    if (screen->keys) {
        raw = screen->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        raw.c_cc[VSUSP] = raw.c_cc[VQUIT] = _POSIX_VDISABLE; /* they would leave it as it is now */
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    if (screen->live)
        say(begin, sizeof begin - 1);
}

void top_screen_end(const struct top_screen *screen)
{
    static const char end[] = "\033[?25h\033[?1049l";

    if (screen->live)
        say(end, sizeof end - 1);
    if (screen->keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

void top_screen_size(size_t *ret_width, size_t *ret_height)
{
    struct winsize size;
    const bool said = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

    *ret_width = said && size.ws_col > 0 ? size.ws_col : 80;
    *ret_height = said && size.ws_row > 0 ? size.ws_row : 24;
}
