/* quick_check -- for the quick start: reads every file that a `tail` service announces, and
 * compares each byte with the disk.
 *
 *     quick_check ADDR SERVICE DIR
 *
 * Exits 0 when all are the same, 1 when something differs, and 3 when something differs but was
 * rewritten meanwhile (a log that was rotated): then look again. */
#include <chanserv/chanserv.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN = 20, HUGE = 1 << 30 };

struct tally {
    unsigned files, shown, left_out;
    unsigned long long lines, bytes;
    bool differs, rewritten;
};

/* Is what came the same as so many bytes at this place of the file? */
static bool same_on_disk(int fd, off_t at, cs_bytes frame)
{
    static char disk[1 << 20];
    const char *came = frame.base;
    size_t done = 0;
    while (done < frame.len) {
        size_t want = frame.len - done < sizeof disk ? frame.len - done : sizeof disk;
        ssize_t n = pread(fd, disk, want, at + (off_t)done);
        if (n <= 0 || memcmp(disk, came + done, (size_t)n) != 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool was_rewritten(const char *path, int fd, const struct stat *before)
{
    struct stat named, held;
    return stat(path, &named) != 0 || fstat(fd, &held) != 0 || named.st_ino != before->st_ino ||
           held.st_mtime != before->st_mtime || held.st_size < before->st_size;
}

static void compare(chanserv_source *src, const char *path, int fd, const struct stat *before,
                    struct tally *t)
{
    unsigned long long lines = 0;
    cs_bytes frame;
    off_t at = 0;
    bool same = true;
    for (; chanserv_range_frame(src, &frame); at += (off_t)frame.len, lines++)
        same = same && same_on_disk(fd, at, frame);
    same = same && chanserv_source_status(src) == CS_DONE && at >= before->st_size;
    if (t->shown++ < SHOWN || !same)
        printf("    %-32s %8llu lines %12lld bytes  %s\n", path, lines, (long long)at,
               same ? "as on disk" : "DIFFERS");
    if (!same && chanserv_source_status(src) != CS_DONE)
        printf("    %s\n", chanserv_source_errmsg(src));
    if (!same && was_rewritten(path, fd, before))
        t->rewritten = true;
    else if (!same)
        t->differs = true;
    t->files++;
    t->lines += lines;
    t->bytes += (unsigned long long)at;
}

/* A file that cannot be read here is not opened there: that costs nothing. */
static void look(chanserv_source *src, struct tally *t)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%.*s", CS_FMT(chanserv_source_header(src)));
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < HUGE)
        compare(src, path, fd, &st, t);
    else
        t->left_out++;
    if (fd >= 0)
        close(fd);
    chanserv_source_close(src);
}

int main(int argc, char **argv)
{
    struct tally t = {.files = 0};
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *src;
    if (argc != 4 || chdir(argv[3]) != 0 || chanserv_client_new(NULL, NULL, &client) ||
        chanserv_join(client, argv[1]) ||
        chanserv_lookup_and_post(client, argv[2], cs_str("?follow=0"), NULL, &feed)) {
        fputs("usage: quick_check ADDR SERVICE DIR\n", stderr);
        return 2;
    }
    while (chanserv_range_source(feed, &src))
        look(src, &t);
    cs_err err = chanserv_feed_status(feed);
    if (cs_failed(err))
        fprintf(stderr, "quick_check: %s\n", chanserv_feed_errmsg(feed));
    if (t.shown > SHOWN)
        printf("    and %u more\n", t.shown - SHOWN);
    printf("    %u files, %llu lines, %llu bytes compared", t.files, t.lines, t.bytes);
    if (t.left_out > 0)
        printf("; %u left out (of a gigabyte or more, or not for this user to read)", t.left_out);
    puts("");
    chanserv_client_free(client);
    if (t.differs || (cs_failed(err) && !t.rewritten) || t.files == 0)
        return 1;
    return t.rewritten ? 3 : 0;
}
