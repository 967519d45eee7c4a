/* The kind "tail", with a real directory: server and client share one loop and no socket. */
#include "tools/kind.h"
#include "tools/tail_place.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only a test that fails waits so long. */
enum { PATIENCE_MS = 20000 };

struct dir {
    char path[256];
    cs_loop *loop;
    void *service;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
};

/* ---- The directory -------------------------------------------------------------------------- */

static const char *at(const struct dir *d, const char *name)
{
    static char paths[2][512];
    static unsigned which;

    which ^= 1;
    snprintf(paths[which], sizeof paths[which], "%s/%s", d->path, name);
    return paths[which];
}

static void append(const struct dir *d, const char *name, const char *text)
{
    FILE *f = fopen(at(d, name), "a");

    cr_assert_not_null(f);
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static void move(const struct dir *d, const char *from, const char *to)
{
    cr_assert_eq(rename(at(d, from), at(d, to)), 0);
}

static void dir_new(struct dir *d)
{
    const char *tmp = getenv("TMPDIR");
    char why[256] = "";

    memset(d, 0, sizeof *d);
    snprintf(d->path, sizeof d->path, "%s/tail-XXXXXX", tmp ? tmp : P_tmpdir);
    cr_assert_not_null(mkdtemp(d->path));
    cr_assert_eq(cs_loop_new(NULL, &d->loop), CS_OK);
    cr_assert_eq(tool_kind_tail.open(d->loop, d->path, &d->service, why, sizeof why), CS_OK);
    cr_assert_eq(chanserv_server_new(d->loop, NULL, &d->server), CS_OK);
    cr_assert_eq(chanserv_serve(d->server, "tail", tool_kind_tail.post, d->service), CS_OK);
    cr_assert_eq(chanserv_client_new(d->loop, NULL, &d->client), CS_OK);
    cr_assert_eq(chanserv_join_local(d->client, d->server), CS_OK);
}

static void dir_free(struct dir *d)
{
    char command[300];

    if (d->set)
        chanserv_set_free(d->set);
    chanserv_client_free(d->client);
    chanserv_server_free(d->server);
    tool_kind_tail.close(d->service);
    cs_loop_free(d->loop);
    snprintf(command, sizeof command, "rm -rf '%s'", d->path);
    cr_assert_eq(system(command), 0);
}

/* ---- What comes of it ----------------------------------------------------------------------- */

static void post(struct dir *d, const char *body)
{
    cr_assert_eq(chanserv_lookup_and_post(d->client, "tail", cs_str(body), NULL, &d->feed), CS_OK);
    cr_assert_eq(chanserv_set_new(d->client, &d->set), CS_OK);
    cr_assert_eq(chanserv_set_add_feed(d->set, d->feed), CS_OK);
    chanserv_feed_ready(d->feed);
}

static struct chanserv_event next(struct dir *d, enum chanserv_event_kind kind)
{
    struct chanserv_event ev;

    cr_assert_eq(chanserv_select(d->set, PATIENCE_MS, &ev), CS_OK);
    cr_assert_eq(ev.kind, kind, "got event %d, not %d", (int)ev.kind, (int)kind);
    return ev;
}

static chanserv_source *announced(struct dir *d, const char *name)
{
    struct chanserv_event ev = next(d, CHANSERV_SOURCE);

    cr_assert(cs_same(chanserv_source_header(ev.source), cs_str(name)), "%.*s is not %s",
              CS_FMT(chanserv_source_header(ev.source)), name);
    return ev.source;
}

static void announced_and_opened(struct dir *d, const char *name)
{
    cr_assert_eq(chanserv_set_add_source(d->set, announced(d, name)), CS_OK);
}

static void frame(struct dir *d, const char *text)
{
    struct chanserv_event ev = next(d, CHANSERV_FRAME);

    cr_assert(cs_same(ev.frame, cs_str(text)), "'%.*s' is not '%s'", CS_FMT(ev.frame), text);
}

static void source_end(struct dir *d, cs_err why)
{
    cr_assert_eq(next(d, CHANSERV_SOURCE_END).why, why);
}

static void feed_end(struct dir *d, cs_err why)
{
    cr_assert_eq(next(d, CHANSERV_FEED_END).why, why);
}

/* ---- Which files ---------------------------------------------------------------------------- */

Test(tail, only_regular_files_that_are_not_hidden_are_announced)
{
    struct dir d;

    dir_new(&d);
    append(&d, "b", "");
    append(&d, "a", "");
    append(&d, ".hidden", "");
    cr_assert_eq(symlink("a", at(&d, "link")), 0);
    cr_assert_eq(mkfifo(at(&d, "fifo"), 0600), 0);
    cr_assert_eq(mkdir(at(&d, "directory"), 0700), 0);
    post(&d, "?follow=0");
    announced(&d, "a");
    announced(&d, "b");
    feed_end(&d, CS_DONE);
    dir_free(&d);
}

Test(tail, the_glob_chooses_and_may_have_a_question_mark)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a1.log", "");
    append(&d, "a1.txt", "");
    append(&d, "b22.log", "");
    post(&d, "a?.log?follow=0");
    announced(&d, "a1.log");
    feed_end(&d, CS_DONE);
    dir_free(&d);
}

Test(tail, a_body_that_makes_no_sense_is_refused)
{
    struct dir d;

    dir_new(&d);
    post(&d, "*?follow=maybe");
    feed_end(&d, CS_EINVAL);
    cr_assert_not_null(strstr(chanserv_feed_errmsg(d.feed), "follow is 0 or 1, not 'maybe'"));
    chanserv_set_free(d.set);
    post(&d, "*?mark=2");
    feed_end(&d, CS_EINVAL);
    chanserv_set_free(d.set);
    post(&d, "?follow=0&nonsense=1");
    feed_end(&d, CS_EINVAL);
    cr_assert_not_null(strstr(chanserv_feed_errmsg(d.feed), "no option is called 'nonsense'"));
    chanserv_set_free(d.set);
    post(&d, "?at=a@1.2:3&at=b@x");
    feed_end(&d, CS_EINVAL);
    cr_assert_not_null(strstr(chanserv_feed_errmsg(d.feed), "'b@x' is no place"));
    chanserv_set_free(d.set);
    post(&d, "sub/x");
    feed_end(&d, CS_EINVAL);
    dir_free(&d);
}

Test(tail, an_unreadable_file_is_announced_and_ends_permission_denied)
{
    struct dir d;

    dir_new(&d);
    append(&d, "secret", "x\n");
    cr_assert_eq(chmod(at(&d, "secret"), 0), 0);
    cr_assert_eq(chmod(d.path, 0755), 0);
    if (geteuid() == 0)
        cr_assert_eq(seteuid(65534), 0); /* root may read everything */
    post(&d, "?follow=0");
    announced_and_opened(&d, "secret");
    if (next(&d, CHANSERV_FEED_END).why != CS_DONE)
        cr_assert_fail("the post itself is fine");
    source_end(&d, CS_EPERM);
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
    prctl(PR_SET_DUMPABLE, 1); /* or the search for leaks may not look */
    dir_free(&d);
}

Test(tail, files_that_appear_later_are_announced_once)
{
    struct dir d;

    dir_new(&d);
    post(&d, "*");
    append(&d, "first", "1\n");
    announced_and_opened(&d, "first");
    frame(&d, "1\n");
    append(&d, ".no", "");
    move(&d, ".no", "second");
    announced(&d, "second");
    cr_assert_eq(unlink(at(&d, "second")), 0);
    append(&d, "second", "again\n");
    append(&d, "third", "");
    announced(&d, "third");
    dir_free(&d);
}

/* ---- Its lines ------------------------------------------------------------------------------ */

Test(tail, a_last_line_without_newline_is_a_frame_when_not_following)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\n\ntwo");
    append(&d, "empty", "");
    post(&d, "a?follow=0");
    announced_and_opened(&d, "a");
    feed_end(&d, CS_DONE);
    frame(&d, "one\n");
    frame(&d, "\n");
    frame(&d, "two");
    source_end(&d, CS_DONE);
    chanserv_set_free(d.set);
    post(&d, "empty?follow=0");
    announced_and_opened(&d, "empty");
    feed_end(&d, CS_DONE);
    source_end(&d, CS_DONE);
    dir_free(&d);
}

Test(tail, a_line_over_64_KiB_comes_in_pieces)
{
    enum { LONG = 150000, PIECE = 64 << 10 };
    char *text = calloc(1, LONG + 2);
    struct dir d;

    dir_new(&d);
    memset(text, 'x', LONG);
    text[LONG] = '\n';
    append(&d, "a", text);
    append(&d, "a", "short\n");
    free(text);
    post(&d, "*");
    announced_and_opened(&d, "a");
    cr_assert_eq(next(&d, CHANSERV_FRAME).frame.len, PIECE);
    cr_assert_eq(next(&d, CHANSERV_FRAME).frame.len, PIECE);
    cr_assert_eq(next(&d, CHANSERV_FRAME).frame.len, LONG + 1 - 2 * PIECE);
    frame(&d, "short\n");
    dir_free(&d);
}

Test(tail, a_line_that_is_being_written_waits_for_its_end)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntw");
    append(&d, "other", "x\n");
    post(&d, "*");
    announced_and_opened(&d, "a");
    announced(&d, "other");
    frame(&d, "one\n");
    append(&d, "a", "o\nthree\n");
    frame(&d, "two\n");
    frame(&d, "three\n");
    dir_free(&d);
}

Test(tail, not_following_ends_at_the_length_it_had_when_opened)
{
    enum { LINES = 300000 };
    struct dir d;
    FILE *f;

    dir_new(&d);
    f = fopen(at(&d, "a"), "w");
    for (int i = 0; i < LINES; i++)
        fprintf(f, "%d\n", i);
    fclose(f);
    post(&d, "?follow=0");
    announced_and_opened(&d, "a");
    feed_end(&d, CS_DONE);
    for (int i = 0; i < LINES; i++) {
        (void)next(&d, CHANSERV_FRAME);
        if (i % 10000 == 0)
            append(&d, "a", "more\n");
    }
    source_end(&d, CS_DONE);
    dir_free(&d);
}

/* ---- Rotation ------------------------------------------------------------------------------- */

Test(tail, a_renamed_file_is_read_to_its_end_before_the_new_one)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\n");
    post(&d, "a");
    announced_and_opened(&d, "a");
    frame(&d, "one\n");
    move(&d, "a", "a.1");
    append(&d, "a.1", "late\n");
    frame(&d, "late\n");
    append(&d, "a.1", "torn");
    append(&d, "a", "new\n");
    frame(&d, "torn");
    frame(&d, "new\n");
    dir_free(&d);
}

Test(tail, a_reader_that_is_rotations_behind_misses_none)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "0\n");
    post(&d, "a");
    announced_and_opened(&d, "a");
    frame(&d, "0\n");
    /* All in one go: whoever comes to look finds the last one only, and the names of the others
     * handed down as logrotate does. */
    for (int i = 1; i <= 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d\n", i);
        if (i > 2)
            move(&d, "a.1", "a.2");
        move(&d, "a", "a.1");
        append(&d, "a", text);
    }
    frame(&d, "1\n");
    frame(&d, "2\n");
    frame(&d, "3\n");
    dir_free(&d);
}

Test(tail, a_file_that_is_removed_may_come_back)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\n");
    post(&d, "a");
    announced_and_opened(&d, "a");
    frame(&d, "one\n");
    cr_assert_eq(unlink(at(&d, "a")), 0);
    append(&d, "a", "back\n");
    frame(&d, "back\n");
    append(&d, ".next", "moved over\n");
    move(&d, ".next", "a");
    frame(&d, "moved over\n");
    dir_free(&d);
}

Test(tail, a_truncated_file_is_read_from_its_beginning)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntwo\n");
    post(&d, "a");
    announced_and_opened(&d, "a");
    frame(&d, "one\n");
    frame(&d, "two\n");
    cr_assert_eq(truncate(at(&d, "a"), 0), 0);
    append(&d, "a", "x\n");
    frame(&d, "x\n");
    /* Grown past its old length before anybody looks. */
    cr_assert_eq(truncate(at(&d, "a"), 0), 0);
    append(&d, "a", "longer than before\n");
    frame(&d, "longer than before\n");
    dir_free(&d);
}

Test(tail, a_directory_that_goes_ends_its_posts_and_may_come_back)
{
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\n");
    post(&d, "a");
    announced_and_opened(&d, "a");
    frame(&d, "one\n");
    cr_assert_eq(unlink(at(&d, "a")), 0);
    cr_assert_eq(rmdir(d.path), 0);
    for (int ends = 0; ends < 2; ends++) { /* of the source and of the post, in either order */
        struct chanserv_event ev;
        cr_assert_eq(chanserv_select(d.set, PATIENCE_MS, &ev), CS_OK);
        cr_assert(ev.kind == CHANSERV_SOURCE_END || ev.kind == CHANSERV_FEED_END);
        cr_assert_eq(ev.why, CS_EUNAVAIL);
    }
    chanserv_set_free(d.set);
    post(&d, "");
    feed_end(&d, CS_EUNAVAIL);
    chanserv_set_free(d.set);
    cr_assert_eq(mkdir(d.path, 0700), 0);
    post(&d, "");
    append(&d, "b", "two\n");
    announced_and_opened(&d, "b");
    frame(&d, "two\n");
    dir_free(&d);
}

/* More than the kernel keeps for us: it says so, and forgets the rest. */
static void overflow(const struct dir *d)
{
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int max = 0;

    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%d", &max), 1);
    fclose(f);
    for (int i = 0; i <= max / 2; i++) {
        int fd = open(at(d, ".flood"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        close(fd);
        cr_assert_eq(unlink(at(d, ".flood")), 0);
    }
}

Test(tail, events_that_the_kernel_forgot_are_made_up_for)
{
    const char *want[] = {"1\n", "2\n"};
    int frames = 0, sources = 0;
    struct chanserv_event ev;
    struct dir d;

    dir_new(&d);
    append(&d, "log", "0\n");
    post(&d, "l*");
    announced_and_opened(&d, "log");
    frame(&d, "0\n");
    overflow(&d);
    append(&d, "log", "1\n");
    move(&d, "log", "moved");
    append(&d, "log", "2\n");
    append(&d, "later", "");
    while (frames < 2 || sources < 1) {
        cr_assert_eq(chanserv_select(d.set, PATIENCE_MS, &ev), CS_OK);
        if (ev.kind == CHANSERV_FRAME)
            cr_assert(frames < 2 && cs_same(ev.frame, cs_str(want[frames++])));
        else
            cr_assert(ev.kind == CHANSERV_SOURCE && sources++ == 0);
    }
    dir_free(&d);
}

/* ---- Places --------------------------------------------------------------------------------- */

/* Of the next frame, a mark: the file and the offset. */
static struct tail_id mark(struct dir *d, int64_t pos)
{
    struct chanserv_event ev = next(d, CHANSERV_FRAME);
    struct tail_id id = {.ino = 0};
    int64_t at = -1;

    cr_assert(tail_mark_read(ev.frame, &id, &at), "'%.*s' is no mark", CS_FMT(ev.frame));
    cr_assert_eq(at, pos, "at %lld, not %lld", (long long)at, (long long)pos);
    return id;
}

/* The place of one who has read `bytes` of this file, from its beginning. */
static void post_at(struct dir *d, const char *begin, const char *name, struct tail_id id,
                    const char *bytes)
{
    struct tail_place *place;
    void *places = NULL;
    char *body;
    size_t len;
    FILE *to = open_memstream(&body, &len);

    place = tail_place_make(&places, cs_str(name));
    place->id = id;
    tail_point_pass(&place->point, bytes, strlen(bytes));
    fprintf(to, "%smark=1&at=", begin);
    tail_place_write(place, to);
    fclose(to);
    if (d->set)
        chanserv_set_free(d->set);
    post(d, body);
    free(body);
    tail_places_free(places);
}

static struct tail_id id_of(const struct dir *d, const char *name)
{
    int fd = open(at(d, name), O_RDONLY);
    struct tail_id id = tail_id_of(fd);

    close(fd);
    return id;
}

Test(tail, a_mark_tells_of_each_file_where_its_lines_begin)
{
    struct tail_id first, second;
    struct dir d;

    dir_new(&d);
    post(&d, "a?mark=1");
    append(&d, "a", "one\n\nrest");
    announced_and_opened(&d, "a");
    first = mark(&d, 0);
    cr_assert(tail_id_same(first, id_of(&d, "a")));
    frame(&d, "one\n");
    frame(&d, "\n");
    move(&d, "a", "b");
    append(&d, "a", "two\n");
    frame(&d, "rest");
    second = mark(&d, 0);
    cr_assert_not(tail_id_same(first, second));
    frame(&d, "two\n");
    cr_assert_eq(truncate(at(&d, "a"), 0), 0);
    append(&d, "a", "3\n");
    cr_assert(tail_id_same(mark(&d, 0), second));
    frame(&d, "3\n");
    dir_free(&d);
}

Test(tail, a_place_is_where_a_source_begins)
{
    struct tail_id id;
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntwo\nthree");
    append(&d, "b", "of nobody\n");
    id = id_of(&d, "a");
    post_at(&d, "?", "a", id, "one\n");
    announced_and_opened(&d, "a");
    announced_and_opened(&d, "b");
    cr_assert(tail_id_same(mark(&d, 4), id));
    mark(&d, 0);
    frame(&d, "two\n");
    frame(&d, "of nobody\n");
    post_at(&d, "a?follow=0&", "a", id, "one\ntwo\nth");
    announced_and_opened(&d, "a");
    feed_end(&d, CS_DONE);
    mark(&d, 10);
    frame(&d, "ree");
    source_end(&d, CS_DONE);
    dir_free(&d);
}

Test(tail, a_place_finds_its_file_by_another_name)
{
    static const char *const ways[] = {"a?", "a?follow=0&"};
    struct tail_id id;
    struct dir d;

    for (size_t i = 0; i < 2; i++) {
        dir_new(&d);
        append(&d, "a", "one\ntwo\nrest");
        id = id_of(&d, "a");
        move(&d, "a", "a.1");
        append(&d, "a", "three\n");
        post_at(&d, ways[i], "a", id, "one\n");
        announced_and_opened(&d, "a");
        if (i == 1)
            feed_end(&d, CS_DONE);
        cr_assert(tail_id_same(mark(&d, 4), id));
        frame(&d, "two\n");
        frame(&d, "rest");
        cr_assert_not(tail_id_same(mark(&d, 0), id));
        frame(&d, "three\n");
        if (i == 1)
            source_end(&d, CS_DONE);
        dir_free(&d);
    }
}

Test(tail, a_place_leaves_out_no_file_that_was_rotated_meanwhile)
{
    struct tail_id id;
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntwo\n");
    append(&d, "a.old", "of nobody\n");
    id = id_of(&d, "a");
    move(&d, "a", "a-20300101"); /* as logrotate(8) has it with or without dates */
    append(&d, "a", "three\n");
    append(&d, "a.log", "another\n");
    append(&d, "b.1", "another\n");
    move(&d, "a", "a.2");
    append(&d, "a", "four\n");
    move(&d, "a", "a.1");
    append(&d, "a", "five\n");
    for (int round = 0; round < 2; round++) {
        post_at(&d, "a?", "a", id, "one\n");
        announced_and_opened(&d, "a");
        if (round == 0) {
            cr_assert(tail_id_same(mark(&d, 4), id));
            frame(&d, "two\n");
        }
        cr_assert(tail_id_same(mark(&d, 0), id_of(&d, "a.2")));
        frame(&d, "three\n");
        cr_assert(tail_id_same(mark(&d, 0), id_of(&d, "a.1")));
        frame(&d, "four\n");
        cr_assert(tail_id_same(mark(&d, 0), id_of(&d, "a")));
        frame(&d, "five\n");
        cr_assert_eq(unlink(at(&d, "a-20300101")), round ? -1 : 0);
    }
    append(&d, "a", "six\n");
    frame(&d, "six\n");
    dir_free(&d);
}

Test(tail, a_place_is_announced_whose_file_has_lost_the_name)
{
    struct tail_id id, gone;
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntwo\n");
    append(&d, "gone", "x\n");
    id = id_of(&d, "a");
    gone = id_of(&d, "gone");
    move(&d, "a", "a.1");
    post_at(&d, "a?", "a", id, "one\n");
    announced_and_opened(&d, "a");
    cr_assert(tail_id_same(mark(&d, 4), id));
    frame(&d, "two\n");
    append(&d, "a", "three\n");
    mark(&d, 0);
    frame(&d, "three\n");
    cr_assert_eq(unlink(at(&d, "gone")), 0);
    post_at(&d, "gone?", "gone", gone, "x\n");
    append(&d, "gone", "y\n"); /* announced when it is there, and only then */
    announced_and_opened(&d, "gone");
    mark(&d, 0);
    frame(&d, "y\n");
    dir_free(&d);
}

Test(tail, a_place_is_not_one_of_another_file)
{
    struct tail_id id;
    struct dir d;

    dir_new(&d);
    append(&d, "a", "one\ntwo\n");
    id = id_of(&d, "a");
    post_at(&d, "?", "a", id, "0ne\n"); /* the same file, and was written anew */
    announced_and_opened(&d, "a");
    mark(&d, 0);
    frame(&d, "one\n");
    post_at(&d, "?", "a", id, "one\ntwo\nthree\n"); /* shorter than it was */
    announced_and_opened(&d, "a");
    mark(&d, 0);
    frame(&d, "one\n");
    id.born_ns++; /* a number of an inode that was given again */
    post_at(&d, "?", "a", id, "one\n");
    announced_and_opened(&d, "a");
    mark(&d, 0);
    frame(&d, "one\n");
    dir_free(&d);
}

/* ---- 100,000 lines: each once, in order, none torn ------------------------------------------ */

enum { LINES = 100000, ROTATE = 5000, AHEAD = 23456 };

struct writer {
    struct dir *d;
    int written, fd;
    bool copies; /* copies and truncates; else renames */
};

static void writer_open(struct writer *w)
{
    w->fd = open(at(w->d, "log"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(w->fd, 0);
}

static void writer_rotate(struct writer *w)
{
    char old[32];

    if (w->copies) {
        cr_assert_eq(ftruncate(w->fd, 0), 0);
        return;
    }
    snprintf(old, sizeof old, "log.%d", w->written / ROTATE);
    move(w->d, "log", old);
    close(w->fd);
    writer_open(w);
}

/* Some lines more, in writes that are torn in the middle of a line every now and then.  What is
 * truncated before it is read is gone for everybody, so there the reader must have caught up. */
static void writer_go(struct writer *w, int read)
{
    char text[32];
    int ahead = read > 0 ? AHEAD : ROTATE / 2; /* a file is followed from its opening on */

    while (w->written < LINES && w->written < read + ahead) {
        int n = snprintf(text, sizeof text, "%d\n", w->written), first = w->written % 7 ? n : 1;
        if (w->written > 0 && w->written % ROTATE == 0) {
            if (w->copies && read < w->written)
                return;
            writer_rotate(w);
        }
        cr_assert_eq(write(w->fd, text, (size_t)first), first);
        cr_assert_eq(write(w->fd, text + first, (size_t)(n - first)), n - first);
        w->written++;
    }
}

static void hundred_thousand(bool copies)
{
    struct dir d;
    struct writer w = {.d = &d, .copies = copies};
    char want[32];

    dir_new(&d);
    writer_open(&w);
    post(&d, "log");
    announced_and_opened(&d, "log");
    for (int i = 0; i < LINES; i++) {
        writer_go(&w, i);
        snprintf(want, sizeof want, "%d\n", i);
        frame(&d, want);
    }
    close(w.fd);
    dir_free(&d);
}

Test(tail, a_hundred_thousand_lines_survive_renaming)
{
    hundred_thousand(false);
}

Test(tail, a_hundred_thousand_lines_survive_copying_and_truncating)
{
    hundred_thousand(true);
}
